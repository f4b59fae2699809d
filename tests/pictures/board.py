"""Makes the README's picture of the board anew, from a real run of the demo: python tests/pictures/board.py

Needs the demo's host, and half a minute. With the folder of a demo's project it shows that run.
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console

from spec_kitty_orchestrator.report.events import AttemptEnded
from spec_kitty_orchestrator.report.picture import draw
from spec_kitty_orchestrator.report.reading import FILE_NAME, EventFile, TimedEvent
from spec_kitty_orchestrator.report.rows import picture_of
from spec_kitty_orchestrator.report.story import Story
from spec_kitty_orchestrator.run.last_words import overhear
from spec_kitty_orchestrator.run.overview import custom_agents

WIDTH, HEIGHT = 80, 24
TARGET = Path(__file__).with_name("board.svg")
NO_FONTS = re.sub(r"@font-face \{\{.*?\}\}\n", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
"""As rich has it, without fonts from elsewhere: a picture in a page may not fetch any."""


def main(project: Path) -> None:
    """Draws the last moment at which two agents were at work."""
    (file,) = project.glob(f".kittify/logs/*/{FILE_NAME}")
    happened = EventFile(file).more()
    story, now = Story(), 0.0
    for timed in happened[: moment(happened)]:
        now = timed.time
        story.take(now, timed.event)
    overheard = overhear(project, custom_agents(project, {}))
    picture = picture_of(story, now, lambda attempt: overheard.last(attempt.agent, attempt.log))
    console = Console(
        file=io.StringIO(), record=True, width=WIDTH, force_terminal=True, color_system="truecolor"
    )
    for line in draw(picture, WIDTH, HEIGHT):
        console.print(line, soft_wrap=True, highlight=False)
    console.save_svg(str(TARGET), title="spec-kitty-orchestrator", code_format=NO_FONTS, unique_id="board")


def moment(happened: list[TimedEvent]) -> int:
    """How many events there were when the last of two agents at work was about to end."""
    story, found = Story(), 0
    for number, timed in enumerate(happened):
        at_work = [wp for wp in story.work_packages.values() if wp.attempt is not None]
        if len(at_work) > 1 and isinstance(timed.event, AttemptEnded):
            found = number
        story.take(timed.time, timed.event)
    return found


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as folder:
            made = Path(folder) / "demo"
            argv = [sys.executable, "-m", "spec_kitty_orchestrator", "demo", "--dir", str(made)]
            subprocess.run(argv, check=True)
            main(made)

"""Makes the pictures of the README anew, from a real run of the demo: python tests/pictures/make.py

Needs the demo's host and a Chromium. The demo takes half a minute.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent.parent))  # for the tests' browser

from tests.browser.chromium import chromium, find_chromium  # noqa: E402

WIDTH, HEIGHT = 1040, 900
"""Pixels: the beginning of the page, with the lines of time and the graph; GitHub shows no wider ones."""


def main() -> None:
    """Runs the demo, and takes a picture of the page that it leaves."""
    if find_chromium() is None:
        sys.exit("no Chromium is installed here (Debian: apt-get install chromium)")
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder) / "demo"
        argv = [sys.executable, "-m", "spec_kitty_orchestrator", "demo", "--dir", str(project)]
        subprocess.run(argv, check=True)
        (page,) = project.glob(".kittify/logs/*/report.html")
        with chromium(Path(folder)) as browser:
            tab = browser.open_page()
            for scheme in ("light", "dark"):
                tab.show(page, width=WIDTH, height=HEIGHT, scheme=scheme)
                tab.take_picture(HERE / f"report-{scheme}.png", whole=False)


if __name__ == "__main__":
    main()

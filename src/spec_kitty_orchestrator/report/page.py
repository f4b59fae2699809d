"""A report as one page of HTML, which needs nothing beside itself: no script, no network, no other file."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, StrictUndefined, Template

from .composing import compose
from .document import Document
from .drawing import BOX_HEIGHT, BOX_WIDTH, draw_graph, draw_times
from .reading import EventFile
from .story import Story

FILE_NAME = "report.html"


def render_page(story: Story, document: Document) -> str:
    """The page. Whatever agents, reviewers or the host said is data in it: escaped, and never a link."""
    return _template().render(
        document=document,
        times=draw_times(story),
        graph=draw_graph(story),
        box=(BOX_WIDTH, BOX_HEIGHT),
    )


def write_page(events_file: Path) -> Path:
    """Writes the page of a run beside its events; its path.

    Raises:
        OSError: the events cannot be read, or the page not be written.
    """
    file, story = EventFile(events_file), Story()
    for timed in file.more():
        story.take(timed.time, timed.event)
    path = events_file.with_name(FILE_NAME)
    put_page(path, render_page(story, compose(story, file.problems)))
    return path


def put_page(path: Path, page: str) -> None:
    """Writes a page, as a text file whose last line ends. Raises OSError."""
    path.write_text(f"{page}\n", encoding="utf-8")


@cache
def _template() -> Template:
    source = files(__package__).joinpath("page.html.jinja").read_text(encoding="utf-8")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(source)

"""What a run leaves behind for people when it is over: a page beside its events."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import trio

from ..processes.bounds import PAGE_SECONDS


async def leave_page(events_file: Path, tell: Callable[[str], None]) -> Path | None:
    """Writes the page of a run in a thread, for which nobody waits longer than `PAGE_SECONDS`.

    Args:
        tell: is told why there is none, which changes nothing for the run.

    Returns:
        where it is, if it is there.
    """
    path = None
    with trio.move_on_after(PAGE_SECONDS) as patience:
        try:
            path = await trio.to_thread.run_sync(_write, events_file, abandon_on_cancel=True)
        except Exception as problem:  # noqa: BLE001 - the run is over, and a page must not change how it ended
            tell(f"no report was written: {problem}")
    if patience.cancelled_caught:
        tell(f"no report was written: it took longer than {PAGE_SECONDS:g} s")
    return path


def _write(events_file: Path) -> Path:
    from ..report.page import write_page  # which loads the template's engine

    return write_page(events_file)

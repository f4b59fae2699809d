"""In which order the suite runs, and which signals it is open to."""

from __future__ import annotations

import signal

import pytest

# Under nohup or in the background these are ignored, and every process of the suite would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


def drives_the_real_host(item: pytest.Item) -> bool:
    """Marked e2e, and not for the real agent CLIs."""
    return bool(item.get_closest_marker("e2e")) and not item.get_closest_marker("real_agents")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What drives the real host goes first: those are the longest files, and the others fill the gaps."""
    items.sort(key=lambda item: not drives_the_real_host(item))

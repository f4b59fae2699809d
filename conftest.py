"""How the suite is shared out when it runs side by side (`pytest -n 2 --dist loadgroup`)."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

ROOT = Path(__file__).parent

# Under nohup or in the background these are ignored, and every process of the suite would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What drives the real host goes one after the other, beside everything else, which goes file by file.

    A host call keeps a core busy for 2 s, while most other tests wait for processes: the two kinds make way
    for each other. Templates are made once, and a file's tests keep their order.
    """
    for item in items:
        path = item.path.relative_to(ROOT)
        real_host = item.get_closest_marker("e2e") and not item.get_closest_marker("real_agents")
        item.add_marker(pytest.mark.xdist_group("real host" if real_host else str(path)))

"""What doctor says of where we run: a container without an init, a unit of systemd, and neither."""

from __future__ import annotations

from pathlib import Path

import pytest

from spec_kitty_orchestrator.run.doctor import OUT_OF_REACH, _surroundings

UNIT, SCOPE = "0::/system.slice/night.service\n", "0::/user.slice/user@1000.service/app.slice/term.scope\n"

CASES = {
    "a machine": ("systemd", SCOPE, 77, []),
    "a container with an init": ("docker-init", "0::/\n", 77, []),
    "a container without one": ("sh", "0::/\n", 77, ["sh is process 1"]),
    "we are the first process": ("python3", "0::/\n", 1, ["we are process 1"]),
    "a unit": ("systemd", UNIT, 77, ["night.service: give it KillMode=mixed"]),
    "no /proc": (None, None, 77, []),
}


@pytest.mark.parametrize(("first", "cgroup", "pid", "said"), CASES.values(), ids=CASES)
def test_it_warns_of_who_would_stop_us_in_another_way(
    tmp_path: Path, first: str | None, cgroup: str | None, pid: int, said: list[str]
) -> None:
    for folder, name, text in (("1", "comm", first), ("self", "cgroup", cgroup)):
        (tmp_path / folder).mkdir()
        if text is not None:
            (tmp_path / folder / name).write_text(text)
    found = [finding.found for finding in _surroundings(tmp_path, pid)]
    assert len(found) == len(said)
    assert all(one.startswith(words) for one, words in zip(found, said, strict=True))


def test_it_says_what_is_out_of_reach() -> None:
    assert "tmux" in OUT_OF_REACH.found
    assert "other users'" in OUT_OF_REACH.found

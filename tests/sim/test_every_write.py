"""A disk that takes nothing, at every single write: one clear line, and no work package lost."""

from __future__ import annotations

import errno
import itertools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field
from tests.sim.world import World, make_world, reject

from spec_kitty_orchestrator.errors import ExitCode, find_known

FOR_EVER = 10**9


@define
class Disk:
    """Counts what is written below one folder, and refuses some of it.

    Attributes:
        refused: what was refused, as the name of the call and the path.
    """

    folder: Path
    first: int
    times: int
    code: int
    refused: list[str] = field(factory=list)
    made: Any = field(factory=itertools.count)

    def guard(self, patch: pytest.MonkeyPatch) -> None:
        """Puts itself before each call that changes a file or a folder."""
        for name in ("open", "replace", "mkdir", "rename"):
            patch.setattr(os, name, self._guarded(getattr(os, name)))

    def _guarded(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(path: Any, *args: Any, **options: Any) -> Any:
            reads = call.__name__ == "open" and not args[0] & (os.O_WRONLY | os.O_RDWR)
            is_ours = not reads and self.folder in Path(path).parents
            if is_ours and self.first <= next(self.made) < self.first + self.times:
                self.refused.append(f"{call.__name__} {path}")
                raise OSError(self.code, os.strerror(self.code), str(path))
            return call(path, *args, **options)

        return guarded


def a_mission(root: Path) -> World:
    world = make_world(root, {"WP01": [], "WP02": ["WP01"]})
    world.acts["WP01", "review"] = [reject("mend it")]
    return world


def run(world: World) -> tuple[ExitCode, tuple[str, ...]]:
    """One run; an error that is ours may come in a group, as the supervisor knows."""
    try:
        end = world.orchestrate()
    except BaseException as problem:
        known = find_known(problem)
        if known is None:
            raise
        return known.exit_code, (known.message,)
    return end.exit_code, end.lines


@pytest.mark.parametrize("times", [1, FOR_EVER], ids=["once", "from then on"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS], ids=["full", "read-only"])
def test_a_disk_that_refuses_any_write_costs_no_work_package(tmp_path: Path, code: int, times: int) -> None:
    for number in itertools.count():
        world = a_mission(tmp_path / f"{number}")
        disk = Disk(world.root / ".kittify", number, times, code)
        with pytest.MonkeyPatch.context() as patch:
            disk.guard(patch)
            end, lines = run(world)
        if not disk.refused:
            break  # there are no more writes than that
        assert end in (ExitCode.ACCEPTED, ExitCode.ATTENTION, ExitCode.USAGE)
        if end is not ExitCode.ACCEPTED:
            assert sum(os.strerror(code) in line for line in lines) == 1, lines
        assert not any("internal error" in line or "Traceback" in line or "\n" in line for line in lines)
        assert run(world)[0] is ExitCode.ACCEPTED, disk.refused
    assert number > 30

"""An order reaches the run that it is for, once, and whoever gave it hears what became of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import trio
from attrs import evolve
from trio.testing import MockClock

from spec_kitty_orchestrator.errors import UsageError
from spec_kitty_orchestrator.processes.identity import ProcessIdentity
from spec_kitty_orchestrator.run.lock import Holder
from spec_kitty_orchestrator.run.ordering import (
    ANSWER_SECONDS,
    OLD_SECONDS,
    Answer,
    Order,
    OrderBox,
    Ordered,
    give_order,
    orders_folder,
)
from spec_kitty_orchestrator.settings.values import Asked

SELF = ProcessIdentity.of(os.getpid())
GONE = evolve(SELF, pid=SELF.pid + 1, started=SELF.started + 1000.0)
ORDERED = Ordered(Order.RETRY, SELF, Asked(("WP01",), feedback="ünd so weiter"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / ".kittify").mkdir()
    return tmp_path


def give(root: Path, run: Callable[[OrderBox], object], to: ProcessIdentity = SELF) -> Answer:
    """Gives an order while a run looks for some every ten seconds of a clock that jumps."""
    box = OrderBox(orders_folder(root), to)

    async def look() -> None:
        while True:
            await trio.sleep(10.0)
            run(box)

    async def both() -> Answer:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(look)
            problem = None
            try:
                answer = await give_order(root, Holder(to, None, "the-run"), evolve(ORDERED, to=to))
            except UsageError as error:
                problem = error
            nursery.cancel_scope.cancel()
        if problem is not None:
            raise problem
        return answer

    return trio.run(both, clock=MockClock(autojump_threshold=0))


def obey(box: OrderBox) -> None:
    for name, ordered in box.take().items():
        assert ordered == ORDERED
        assert box.take() == {}
        box.answer(name, Answer(True, "it is done"))


def test_an_order_is_taken_once_and_its_answer_comes_back_and_nothing_is_left(root: Path) -> None:
    assert give(root, obey) == Answer(True, "it is done")
    assert list(orders_folder(root).iterdir()) == []


def test_an_order_that_nobody_takes_is_taken_back(root: Path) -> None:
    with pytest.raises(UsageError, match=f"did not take the order in {ANSWER_SECONDS:.0f} s"):
        give(root, lambda _: None)
    assert list(orders_folder(root).iterdir()) == []


def test_an_order_that_was_taken_is_waited_for_as_long_as_it_takes(root: Path) -> None:
    taken: list[str] = []
    looks: list[None] = []

    def obey_slowly(box: OrderBox) -> None:
        taken.extend(box.take())
        looks.append(None)
        if len(looks) * 10.0 > 5 * ANSWER_SECONDS:
            box.answer(taken[0], Answer(True, "at last"))

    assert give(root, obey_slowly).line == "at last"


def test_a_run_that_has_ended_answers_no_more(root: Path) -> None:
    with pytest.raises(UsageError, match=r"run the-run .* has ended before it answered"):
        give(root, lambda _: None, to=GONE)


def test_the_last_words_of_a_run_that_ends_are_heard(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It answers and is gone, between the look for its answer and the look whether it is alive."""

    def ends(who: ProcessIdentity) -> bool:
        obey(OrderBox(orders_folder(root), who))
        return False

    monkeypatch.setattr(ProcessIdentity, "is_alive", ends)
    assert give(root, lambda _: None).line == "it is done"


def test_what_nobody_came_back_for_is_thrown_away_when_it_is_old(root: Path) -> None:
    box = OrderBox(orders_folder(root), SELF)
    with pytest.raises(UsageError):
        give(root, lambda _: None, to=GONE)
    box.answer("new", Answer(True, ""))
    box.answer("old", Answer(True, ""))
    os.utime(box.folder / "old.answer", (0, os.stat(box.folder).st_mtime - OLD_SECONDS - 1))
    assert box.take() == {}
    assert [path.name for path in box.folder.iterdir()] == ["new.answer"]


def test_a_link_in_place_of_the_folder_is_not_followed(root: Path, tmp_path: Path) -> None:
    (elsewhere := tmp_path / "elsewhere").mkdir(mode=0o700)
    orders_folder(root).parent.mkdir()
    orders_folder(root).symlink_to(elsewhere)
    with pytest.raises(UsageError, match="cannot be told anything"):
        give(root, obey)
    (elsewhere / "a.order").write_text("{}")
    assert OrderBox(orders_folder(root), SELF).take() == {}
    assert (elsewhere / "a.order").exists()


def test_nobody_else_can_read_an_order(root: Path) -> None:
    modes: list[int] = []

    def look(box: OrderBox) -> None:
        modes.extend(path.stat().st_mode & 0o777 for path in (box.folder, *box.folder.iterdir()))
        obey(box)

    before = os.umask(0)
    try:
        give(root, look)
    finally:
        os.umask(before)
    assert modes == [0o700, 0o600]


def test_an_order_that_was_lost_is_not_waited_for_for_ever(root: Path) -> None:
    with pytest.raises(UsageError, match="did not answer"):
        give(root, lambda box: box.take())


def test_a_folder_that_may_not_be_read_holds_no_orders(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The project's owner has made it, and the run is somebody else's."""
    orders_folder(root).mkdir(parents=True, mode=0o700)

    def refused(_: Path) -> object:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refused)
    assert OrderBox(orders_folder(root), SELF).take() == {}

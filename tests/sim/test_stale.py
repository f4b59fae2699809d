"""What is remembered of a work package counts only for as long as it is true, whoever moved it meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import trio
from conformance.fake.command_line import Said
from tests.sim.world import Act, World, reject

from spec_kitty_orchestrator.errors import ExitCode
from spec_kitty_orchestrator.report.events import HandoverRefused

NewWorld = Callable[..., World]
CRASHED = Said(1, b"", b"Traceback (most recent call last):\nFileExistsError: .git/index.lock\n")
A_WHILE = 20.0


def loses_the_reply(world: World, to: str) -> None:
    """The host moves it there, and breaks down on that and on all calls of a while."""
    ask, until = world.host.respond, [0.0]

    def call(argv: Sequence[str]) -> Said:
        now = trio.current_time()
        if not until[0] and argv[1] == "transition" and argv[argv.index("--to") + 1] == to:
            assert ask(argv).returncode == 0
            until[0] = now + A_WHILE
        return CRASHED if now < until[0] else ask(argv)

    world.host.respond = call


def test_a_handover_whose_reply_is_lost_is_one(single: World) -> None:
    """Who made it is known, so another one reviews it; and it is not handed over again when it comes back."""
    world = single.with_agents(implementation=("claude-code", "codex"), review=("codex", "claude-code"))
    world.agent_acts["claude-code"] = [Act(commit=False)] * 3
    world.acts["WP01", "review"] = [reject("mend it")]
    loses_the_reply(world, "for_review")
    assert world.orchestrate().exit_code is ExitCode.ACCEPTED
    assert world.asked("WP01", "implementation") == ["claude-code"] * 3 + ["codex", "claude-code"]
    assert world.asked("WP01", "review") == ["claude-code", "codex"]
    assert len(world.said(HandoverRefused)) == 3
    outcomes = [each.outcome for each in world.remember().record("WP01").attempts]
    assert outcomes == ["handover_refused"] * 3 + ["succeeded"] * 4

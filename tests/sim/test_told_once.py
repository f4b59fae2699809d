"""What an implementer is told to mend, it is told until that is handed over, and not again."""

from __future__ import annotations

from tests.sim.world import Act, World, reject

from spec_kitty_orchestrator.errors import ExitCode


def test_a_refused_handover_is_not_told_again_once_it_got_through(single: World) -> None:
    single.acts["WP01", "implementation"] = [Act(commit=False)]
    single.acts["WP01", "review"] = [reject("mend a.py:3")]
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    _, second, third = single.prompts("WP01", "implementation")
    assert "There is no new commit" in second
    assert "mend a.py:3" in third
    assert "There is no new commit" not in third


def test_feedback_is_not_told_again_once_it_was_heeded(single: World) -> None:
    """The rework was handed over and nobody judged it; who takes it up again is told nothing that is old."""
    single.acts["WP01", "review"] = [reject("mend a.py:3")] + [Act(verdict=None)] * 3
    assert single.orchestrate().exit_code is ExitCode.ATTENTION
    assert single.lanes() == {"WP01": "blocked"}
    single.fake.wps["WP01"]["lane"] = "in_progress"
    assert single.orchestrate().exit_code is ExitCode.ACCEPTED
    _, second, third = single.prompts("WP01", "implementation")
    assert "mend a.py:3" in second
    assert "mend a.py:3" not in third

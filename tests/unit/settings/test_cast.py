"""Who may be asked for what, and what of it is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from spec_kitty_orchestrator.agents.names import agent_of, model_of, with_model
from spec_kitty_orchestrator.agents.spec import Role
from spec_kitty_orchestrator.errors import ConfigError
from spec_kitty_orchestrator.run.opening import named_agents
from spec_kitty_orchestrator.settings.cast import escalated, implementers, parts, reviewers
from spec_kitty_orchestrator.settings.loading import FILE_NAME, load_settings
from spec_kitty_orchestrator.settings.values import AgentChoice, Escalation, Flags, Settings, WpAgents

BOTH = AgentChoice(implementation=("claude-code", "codex"), review=("codex", "claude-code"))


@pytest.mark.parametrize(
    ("name", "agent", "model"),
    [
        ("codex", "codex", None),
        ("claude-code:opus", "claude-code", "opus"),
        ("opencode:scripted/a:b", "opencode", "scripted/a:b"),
        ("codex:", "codex", ""),
    ],
)
def test_a_name_may_hold_a_model(name: str, agent: str, model: str | None) -> None:
    assert (agent_of(name), model_of(name)) == (agent, model)
    assert with_model(name, "other") == (f"{name}:other" if model is None else name)


def test_one_work_package_may_have_agents_of_its_own() -> None:
    own = {
        "WP01": WpAgents(implementation=("pi",)),
        "WP02": WpAgents(review=("qwen",)),
        "WP03": WpAgents(model="big"),
        "WP04": WpAgents(implementation=("pi:small", "qwen"), model="big"),
    }
    choice = AgentChoice(("claude-code", "codex"), ("codex", "claude-code"), by_work_package=own)
    assert {wp_id: implementers(choice, wp_id) for wp_id in (*own, "WP05")} == {
        "WP01": ("pi",),
        "WP02": ("claude-code", "codex"),
        "WP03": ("claude-code:big", "codex:big"),
        "WP04": ("pi:small", "qwen:big"),
        "WP05": ("claude-code", "codex"),
    }
    assert reviewers(choice, "WP01") == ("codex", "claude-code")
    assert reviewers(choice, "WP02") == ("qwen",)
    assert {name for part in parts(choice) for name in part.names} == {
        *("claude-code", "codex", "pi", "qwen"),
        *("claude-code:big", "codex:big", "pi:small", "qwen:big"),
    }


def test_a_single_agent_does_all_of_a_work_package() -> None:
    own = {"WP01": WpAgents(implementation=("pi", "qwen"), review=("codex",))}
    choice = AgentChoice(("claude-code", "codex"), ("codex",), single_agent_mode=True, by_work_package=own)
    assert (implementers(choice, "WP01"), reviewers(choice, "WP01")) == (("pi",), ("pi",))
    assert (implementers(choice, "WP02"), reviewers(choice, "WP02")) == (("claude-code",), ("claude-code",))
    assert {name for part in parts(choice) for name in part.names} == {"claude-code", "pi"}


def test_others_take_over_after_so_many_rejections() -> None:
    choice = AgentChoice(escalate_after_rejections=Escalation(2, ("codex", "claude-code:opus")))
    assert [len(escalated(choice, rejections)) for rejections in range(4)] == [0, 0, 2, 2]
    assert escalated(AgentChoice(), 9) == ()


def test_an_agent_with_a_model_is_an_agent_of_its_own() -> None:
    agents = named_agents(
        Settings(agents=AgentChoice(("claude-code:opus", "claude-code"), ("codex",))), {"PATH": ""}
    )
    assert [*agents] == ["claude-code:opus", "claude-code", "codex"]
    opus, plain = agents["claude-code:opus"], agents["claude-code"]
    assert (opus.agent_id, opus.settings.model, opus.spec) == ("claude-code:opus", "opus", plain.spec)
    assert (plain.agent_id, plain.settings.model) == ("claude-code", None)


REFUSED = {
    "an agent that is unknown": (
        "agents: {by_work_package: {WP01: {review: [codexx]}}}\n",
        "1:44: agents.by_work_package.WP01.review[0]: unknown agent 'codexx'; did you mean 'codex'?",
    ),
    "a model without a name": (
        "agents: {implementation: ['codex:']}\n",
        "1:27: agents.implementation[0]: expected the name of a model after codex:",
    ),
    "an agent that takes no model": (
        "agents: {custom: {mine: {command: {implementation: [x]}}}, review: ['mine:big']}\n",
        "1:69: agents.review[0]: mine cannot be told a model",
    ),
    "a model for a work package whose agents take none": (
        "agents: {custom: {mine: {command: {implementation: [x]}}}, implementation: [mine],\n"
        "  by_work_package: {WP01: {model: big}}}\n",
        "2:28: agents.by_work_package.WP01.model: mine cannot be told a model",
    ),
    "the same one twice": (
        "agents: {by_work_package: {WP01: {implementation: [codex, codex]}}}\n",
        "1:59: agents.by_work_package.WP01.implementation[1]: 'codex' is named twice",
    ),
    "the same one twice, once by the model that it has anyway": (
        "agents: {reviews_required: 2, review: [codex, 'codex:big'], settings: {codex: {model: big}}}\n",
        "1:47: agents.review[1]: 'codex:big' is named twice",
    ),
    "what is no work package": (
        "agents: {by_work_package: {one: {review: [codex]}}}\n",
        "1:28: agents.by_work_package.one: no work package can have this name; they are named like WP01",
    ),
    "nothing for a work package": (
        "agents: {by_work_package: {WP01: {}}}\n",
        "1:28: agents.by_work_package.WP01: expected `implementation`, `review` or `model`",
    ),
    "more reviews than reviewers": (
        "agents: {reviews_required: 2}\n",
        "1:1: agents.review: there are 1, and reviews_required is 2",
    ),
    "more reviews than reviewers of one work package": (
        "agents: {reviews_required: 2, review: [codex, claude-code],\n"
        "  by_work_package: {WP01: {review: [pi]}}}\n",
        "2:28: agents.by_work_package.WP01.review: there are 1, and reviews_required is 2",
    ),
    "more reviews than a single agent can give": (
        "agents: {reviews_required: 2, review: [codex, pi], single_agent_mode: true}\n",
        "1:31: agents.review: with single_agent_mode there are 1, and reviews_required is 2",
    ),
    "no reviews": (
        "agents: {reviews_required: 0}\n",
        "1:10: agents.reviews_required: expected 1 or more, up to 10",
    ),
    "an escalation that never comes": (
        "agents: {max_retries: 2, escalate_after_rejections: {after: 3, to: [codex]}}\n",
        "1:54: agents.escalate_after_rejections.after: expected 1 or more, up to max_retries, 2: then it is "
        "blocked",
    ),
    "an escalation to nobody": (
        "agents: {escalate_after_rejections: {after: 1, to: []}}\n",
        "1:48: agents.escalate_after_rejections.to: expected at least one agent",
    ),
    "an escalation from a single agent": (
        "agents: {single_agent_mode: true, escalate_after_rejections: {after: 1, to: [codex]}}\n",
        "1:35: agents.escalate_after_rejections: with single_agent_mode there is nobody to hand over to",
    ),
    "a name with a colon": (
        "agents: {custom: {'a:b': {command: {review: [x]}}}}\n",
        "1:19: agents.custom.a:b: expected a name without commas and colons, and without blanks around it",
    ),
}


@pytest.mark.parametrize(("text", "told"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused_is_told_with_its_place(text: str, told: str, tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text(text)
    with pytest.raises(ConfigError) as refused:
        load_settings(tmp_path, {}, Flags())
    assert refused.value.message.splitlines() == [f"{FILE_NAME}:{told}"]


def test_all_of_it_can_be_set_by_variables(tmp_path: Path) -> None:
    environ = {
        "SK_ORCH_AGENTS_IMPLEMENTATION": "claude-code:opus,codex",
        "SK_ORCH_AGENTS_REVIEW": "codex,pi",
        "SK_ORCH_AGENTS_REVIEWS_REQUIRED": "2",
        "SK_ORCH_AGENTS_ESCALATE_AFTER_REJECTIONS": "{after: 1, to: [codex]}",
    }
    agents = load_settings(tmp_path, environ, Flags()).agents
    assert agents.implementation == ("claude-code:opus", "codex")
    assert agents.reviews_required == 2
    assert agents.escalate_after_rejections == Escalation(1, ("codex",))


def test_parts_say_where_they_stand() -> None:
    choice = AgentChoice(
        by_work_package={"WP01": WpAgents(review=("pi",))},
        escalate_after_rejections=Escalation(1, ("codex",)),
    )
    assert [(part.role, part.of_whom) for part in parts(choice)] == [
        (Role.IMPLEMENTATION, ""),
        (Role.REVIEW, ""),
        (Role.REVIEW, " of WP01"),
        (Role.IMPLEMENTATION, " after rejections"),
    ]

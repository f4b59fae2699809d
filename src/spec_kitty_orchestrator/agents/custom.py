"""Agents that the user describes under `agents.custom.<id>`, made into records like the known ones."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

from ..errors import ConfigError
from . import all_agent_ids, get_agent
from .homes import Home, StatePlace
from .places import NOWHERE, At, at
from .spec import AgentSpec, Output, OutputFormat, Role, RoleCommand


@frozen
class CustomAgent:
    """A CLI of the user's own.

    Attributes:
        command: role → program and arguments; a role that is missing uses the other one's.
        output: what it prints on stdout: plain text (all of it is the final text), one JSON document, or
            one JSON object on each line.
        final_text: dotted path of the final text, for the two JSON forms; `result` when not set.
        input_tokens, output_tokens, cost_usd: dotted paths of what it used and cost, for the JSON forms;
            what is told last counts, or with `usage_adds` the sum of all that is told.
        family: who makes it, as the policy tells the host.
        litter: paths in the workspace that it leaves by itself; folders end with a slash.
        state: folders in which it keeps its own (login, sessions), absolute or from `~/` on: walls leave them
            open to it, in both roles.
    """

    command: Mapping[Role, tuple[str, ...]]
    output: OutputFormat = field(default=OutputFormat.TEXT, converter=OutputFormat)
    final_text: str | None = None
    input_tokens: str | None = None
    output_tokens: str | None = None
    cost_usd: str | None = None
    usage_adds: bool = False
    family: str = "custom"
    litter: tuple[str, ...] = ()
    state: tuple[str, ...] = ()


def as_spec(agent_id: str, custom: CustomAgent) -> AgentSpec:
    """The record of a custom agent. Raises ConfigError when it names no program."""
    commands = {role: command for role, command in custom.command.items() if command}
    if not commands:
        raise ConfigError(
            f"agents.custom.{agent_id}: it has no command",
            remedy="give the program and its arguments under `command.implementation`",
        )
    implementation = commands.get(Role.IMPLEMENTATION) or commands[Role.REVIEW]
    review = commands.get(Role.REVIEW) or implementation
    final = NOWHERE if custom.output is OutputFormat.TEXT else at(custom.final_text or "result")
    return AgentSpec(
        agent_id=agent_id,
        family=custom.family,
        binaries=(implementation[0],),
        implementation=_call(implementation),
        review=_call(review, program=review[0] if review[0] != implementation[0] else None),
        output=Output(
            custom.output,
            final=final,
            input_tokens=_place(custom.input_tokens),
            output_tokens=_place(custom.output_tokens),
            cost_usd=_place(custom.cost_usd),
            usage_adds=custom.usage_adds,
        ),
        reports_cost=custom.cost_usd is not None,
        tells_cost_midway=custom.cost_usd is not None and custom.output is OutputFormat.JSONL,
        model_args=(),
        litter=custom.litter,
        home=Home(tuple(StatePlace(path.removeprefix("~/")) for path in custom.state)),
        note="described in orchestrator.yaml",
    )


def known_agents(custom: Mapping[str, CustomAgent]) -> dict[str, AgentSpec]:
    """Every agent that the settings may name: the catalogue's and the user's own."""
    known = {agent_id: get_agent(agent_id) for agent_id in all_agent_ids()}
    return known | {agent_id: as_spec(agent_id, agent) for agent_id, agent in custom.items()}


def _place(path: str | None) -> At:
    return NOWHERE if path is None else at(path)


def _call(command: tuple[str, ...], program: str | None = None) -> RoleCommand:
    return RoleCommand(args=tuple(arg.replace("$", "$$") for arg in command[1:]), program=program)

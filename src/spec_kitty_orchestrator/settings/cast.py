"""Who may be asked for what: by the settings of all work packages, and by those of a single one."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import frozen

from ..agents.names import with_model
from ..agents.spec import Role
from .reading import KeyPath
from .values import AgentChoice, WpAgents

_AS_ALL = WpAgents()


@frozen
class Part:
    """Agents that are named for a role in one place of the settings, in order of preference.

    Attributes:
        path: where they are named.
        names: as they are asked, with the model that is set for them there.
        needed: how many of them it takes.
    """

    path: KeyPath
    role: Role
    names: tuple[str, ...]
    needed: int = 1

    @property
    def of_whom(self) -> str:
        """For which work packages, as it stands behind the role; nothing for all."""
        own = {"by_work_package": f" of {self.path[2]}" if len(self.path) > 2 else ""}
        return {**own, "escalate_after_rejections": " after rejections"}.get(str(self.path[1]), "")


def implementers(agents: AgentChoice, wp_id: str) -> tuple[str, ...]:
    """Who implements a work package, in order."""
    own = agents.by_work_package.get(wp_id, _AS_ALL)
    named = tuple(with_model(name, own.model) for name in own.implementation or agents.implementation)
    return named[:1] if agents.single_agent_mode else named


def reviewers(agents: AgentChoice, wp_id: str) -> tuple[str, ...]:
    """Who reviews a work package, in order of preference, its implementer included."""
    if agents.single_agent_mode:
        return implementers(agents, wp_id)
    return agents.by_work_package.get(wp_id, _AS_ALL).review or agents.review


def escalated(agents: AgentChoice, rejections: int) -> tuple[str, ...]:
    """Who is asked before those who implement a work package that was sent back so often."""
    escalation = agents.escalate_after_rejections
    return escalation.to if escalation is not None and rejections >= escalation.after else ()


def parts(agents: AgentChoice) -> Iterator[Part]:
    """Every place in which somebody is named who may be asked."""
    implementation, review = Role.IMPLEMENTATION, Role.REVIEW
    single, needed = agents.single_agent_mode, agents.reviews_required
    first = agents.implementation[:1] if single else agents.implementation
    yield Part(("agents", "implementation"), implementation, first)
    yield Part(("agents", "review"), review, first if single else agents.review, needed)
    for wp_id, own in agents.by_work_package.items():
        at = ("agents", "by_work_package", wp_id)
        where = "model" if own.model is not None and not own.implementation else "implementation"
        if own.implementation or own.model is not None:
            yield Part((*at, where), implementation, implementers(agents, wp_id))
        if own.review or single:
            yield Part((*at, "review"), review, reviewers(agents, wp_id), needed)
    if agents.escalate_after_rejections is not None:
        to = agents.escalate_after_rejections.to
        yield Part(("agents", "escalate_after_rejections", "to"), implementation, to)

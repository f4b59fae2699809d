"""An agent as it is on this machine: how it is called, and how its end is judged."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from string import Template

from attrs import field, frozen

from ..host.workspace import Workspace
from ..processes.ending import Ending
from .continued import lost_session
from .failure import Failure, classify, one_line
from .sessions import InSession
from .spec import AgentSettings, AgentSpec, FailureKind, Role
from .transcript import Transcript, TranscriptReader, open_reader

# Words in the arguments that a user adds which say that they widen what the agent may do.
_WIDENING = re.compile(
    r"yolo|dangerous|bypass|full-auto|full_auto|skip-(permissions|trust)|allow-all|accept-?edits"
    r"|danger-full-access|writable_roots|^--(auto|force|trust|allow(ed)?-?tools?)\b",
    re.IGNORECASE,
)


@frozen
class CommandLine:
    """How one attempt is started: arguments, what is added to the environment, files to write before.

    `files` maps a path to the text that it must hold; all lie in the attempt's own folder.
    `policy_flags` are those of the arguments that widen what the agent may do (sent with the policy).
    """

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(repr=False)  # may hold secrets
    files: Mapping[Path, str]
    policy_flags: tuple[str, ...]


@frozen
class Agent:
    """An agent's record, its program (None: not installed), and what the user set for it.

    Attributes:
        name: its name in settings and records, when that is not its record's id alone.
    """

    spec: AgentSpec
    program: Path | None
    settings: AgentSettings = field(factory=AgentSettings)
    name: str = ""

    @property
    def agent_id(self) -> str:
        """Its name in settings and records."""
        return self.name or self.spec.agent_id

    def command_line(
        self, role: Role, workspace: Workspace, attempt_dir: Path, session: InSession | None = None
    ) -> CommandLine:
        """The command line of one attempt. The prompt is never in it: it is the agent's stdin.

        Args:
            attempt_dir: a folder of ours for files that the agent is given, never inside the workspace.
            session: the agent's own session, to be begun or gone on with; None: nobody will go on with it.
        """
        command, settings = self.spec.command(role), self.settings
        values = {
            "workspace": str(workspace.path),
            "attempt_dir": str(attempt_dir),
            "model": settings.model or "",
            "max_cost_usd": str(settings.max_cost_usd or ""),
            "session": (session and session.session_id) or "",
            # JSON is TOML here, save for DEL and lone surrogates, which no sane path holds.
            "json_writes": json.dumps(list(map(str, workspace.written_outside))),
            "toml_access": json.dumps(_access(workspace), separators=(",", "=")),
        }
        model = self.spec.model_args if settings.model else ()
        limit = self.spec.cost_limit_args if settings.max_cost_usd is not None else ()
        args, begun = self._in_session(command.args, session)
        args = _fill((*args, *model, *limit), values) + settings.extra_args
        args += _fill((*begun, *command.last), values)
        own = {**self.spec.env, **command.env}
        return CommandLine(
            argv=(command.program or str(self.program), *args),
            env={**{key: Template(text).substitute(values) for key, text in own.items()}, **settings.env},
            files={attempt_dir / name: text for name, text in command.files.items()},
            policy_flags=self.policy_flags(role),
        )

    def _in_session(
        self, args: tuple[str, ...], session: InSession | None
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """A role's arguments without those that a session cannot do with, and the session's own."""
        how = self.spec.sessions
        if session is None or how is None:
            return args, ()
        without = how.without + (how.without_to_resume if session.resumed else ())
        kept = tuple(arg for arg in args if arg not in without)
        return kept, how.resume if session.resumed else how.begin

    def policy_flags(self, role: Role) -> tuple[str, ...]:
        """What widens its permissions in a role: by its record, and among the user's own arguments."""
        extra = tuple(arg for arg in self.settings.extra_args if _WIDENING.search(arg))
        return self.spec.command(role).widens + extra

    def open_reader(self, on_session: Callable[[str], None] | None = None) -> TranscriptReader:
        """What reads its output in one attempt; `on_session` is told the session's id once that is known."""
        return open_reader(self.spec, on_session, self.settings.max_cost_usd)

    def judge(
        self, ending: Ending, transcript: Transcript, session: InSession | None = None
    ) -> Failure | None:
        """Why an attempt did not succeed, or None."""
        if session is not None and self.spec.sessions is not None:
            lost = lost_session(self.spec.sessions, session, ending, transcript)
            if lost is not None:
                return Failure(FailureKind.SESSION_LOST, one_line(f"{self.agent_id}: {lost}"))
        return classify(self.spec, ending, transcript)


def _access(workspace: Workspace) -> dict[str, str]:
    writes = dict.fromkeys(map(str, workspace.written_outside), "write")
    return writes | dict.fromkeys(map(str, workspace.kept_from_writing), "read")


def _fill(args: tuple[str, ...], values: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(Template(arg).substitute(values) for arg in args)

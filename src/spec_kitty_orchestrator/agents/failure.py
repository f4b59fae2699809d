"""How an attempt ended, and what its transcript says, becomes a Failure or none."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

from attrs import frozen

from ..processes.ending import EndedBy, Ending
from .spec import AgentSpec, FailureKind
from .transcript import AgentError, Transcript

# One line in a terminal, in a note to the host, in the run state.
_MAX_MESSAGE = 400

_BY_STATUS = {
    401: FailureKind.AUTH,
    402: FailureKind.BUDGET,
    403: FailureKind.AUTH,
    404: FailureKind.BAD_MODEL,  # every provider answers so for a model that it does not have
    408: FailureKind.NETWORK,
    429: FailureKind.RATE_LIMIT,
}

# What several CLIs pass on unchanged from the libraries that they share.
_COMMON_WORDS = (
    (FailureKind.BAD_MODEL, r"\bmodel_not_found\b|\bmodel: \S+ not found\b"),  # OpenAI, Anthropic
    (FailureKind.NETWORK, r"\b(ECONNREFUSED|ECONNRESET|ENOTFOUND|ETIMEDOUT|EAI_AGAIN)\b"),  # Node
    (FailureKind.NETWORK, r"\bfetch failed\b|\bConnection error\b"),  # undici; the OpenAI SDK
)

_STOPPED_BY_US = {
    EndedBy.TIMEOUT: (FailureKind.TIMEOUT, "stopped at its time limit"),
    EndedBy.IDLE: (FailureKind.STALLED, "stopped after it had said nothing for too long"),
    EndedBy.LOG_FULL: (FailureKind.LOG_FULL, "stopped after it had printed more than max_log_mb"),
}

# A script whose interpreter is looked for by env, as npm's are: `env: 'node': No such file or directory`.
_INTERPRETER_MISSING = re.compile(r"(?:\S*/)?env: .+")
_ENV_STATUSES = (126, 127)  # may not be executed; not found

# OpenAI's code for a bill that is not paid; it comes as a 429, and waiting does not mend it.
_UNPAID = re.compile(r"\binsufficient_quota\b")

_DURATION = re.compile(
    r"(?:retry|try again|available|resets?)(?: again)?(?: after| in)?:? (?P<parts>(?:\d+(?:\.\d+)? ?"
    r"(?:ms|seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|h|days?|d)(?![a-z])[ ,]*)+)",
    re.IGNORECASE,
)
_PART = re.compile(r"(\d+(?:\.\d+)?) ?(ms|s|m|h|d)", re.IGNORECASE)
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_EPOCH = re.compile(r"\|(\d{10})\b")  # claude: "Claude AI usage limit reached|1700000000"
_CLOCK = re.compile(
    r"(?:resets|try again)(?: at)? (?P<hour>1[0-2]|[1-9])(?::(?P<minute>\d\d))? ?(?P<half>[ap])m"
    r"(?: \((?P<zone>[\w/+-]+)\))?",
    re.IGNORECASE,
)


@frozen
class Failure:
    """Why an attempt did not succeed. `retry_after` is in seconds from now, if the agent told."""

    kind: FailureKind
    message: str
    retry_after: float | None = None


def classify(
    spec: AgentSpec, ending: Ending, transcript: Transcript, now: datetime | None = None
) -> Failure | None:
    """None for a success: an end of its own with status 0 (or ours, once it had said that it was done),
    no error in the transcript, and a final text.

    `now` (aware) is what a time of day in a message is counted from; the current time by default.
    """
    by = ending.ended_by
    done = ending.returncode == 0 if by is EndedBy.EXITED else transcript.complete
    if done and transcript.error is None and transcript.final_text:
        return None
    if by in _STOPPED_BY_US and transcript.error is None:
        # Words on stderr may be an hour old; only an error that nothing followed says why it hung.
        kind, words = _STOPPED_BY_US[by]
        return Failure(kind, f"{spec.agent_id}: {words}")
    if ending.returncode in _ENV_STATUSES and _INTERPRETER_MISSING.fullmatch(transcript.stderr.strip()):
        return Failure(FailureKind.NOT_INSTALLED, f"{spec.agent_id}: {_one_line(transcript.stderr)}")
    error = transcript.error or _stderr_error(spec, transcript.stderr)
    kind = _kind_of(spec, error) or spec.exit_kinds.get(ending.returncode or 0, FailureKind.CRASHED)
    message = f"{spec.agent_id}: {error.message or 'no final message'} ({_how(ending)})"
    retry_after = error.retry_after if error.retry_after is not None else _told_wait(error.message, now)
    return Failure(kind, _one_line(message), retry_after)


def _kind_of(spec: AgentSpec, error: AgentError) -> FailureKind | None:
    kind = (
        spec.failure_codes.get(error.code or "")
        or _by_status(error.status)
        or next((kind for kind, words in _words(spec) if words.search(error.message)), None)
    )
    return FailureKind.BUDGET if kind is FailureKind.RATE_LIMIT and _UNPAID.search(error.message) else kind


def _stderr_error(spec: AgentSpec, stderr: str) -> AgentError:
    """The last line that holds words that we know or an HTTP status, or calls itself an error, or is last."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    status = re.compile(spec.output.status_pattern or r"(?!)")
    for line in reversed(lines):
        if told := status.search(line):
            return AgentError(line, int(told.group(1)))
        if any(words.search(line) for _, words in _words(spec)):
            return AgentError(line)
    errors = [line for line in lines if re.match(r"\W*(fatal )?error\b", line, re.IGNORECASE)]
    return AgentError((errors or lines or [""])[-1])


def _words(spec: AgentSpec) -> list[tuple[FailureKind, re.Pattern[str]]]:
    return [(kind, re.compile(words)) for kind, words in (*spec.failure_words, *_COMMON_WORDS)]


def _by_status(status: int | None) -> FailureKind | None:
    if status is not None and 500 <= status < 600:
        return FailureKind.NETWORK  # theirs, and temporary: what helps is what helps a network
    return _BY_STATUS.get(status or 0)


def _how(ending: Ending) -> str:
    if ending.signal is not None:
        return f"ended by signal {ending.signal}"
    return "its end was not seen" if ending.returncode is None else f"exit status {ending.returncode}"


def _told_wait(message: str, now: datetime | None) -> float | None:
    """Seconds until the time that a message names, in any of the ways in which agents name it."""
    now = now or datetime.now(timezone.utc)
    if told := _DURATION.search(message):
        return sum(float(n) * _SECONDS[unit.lower()] for n, unit in _PART.findall(told["parts"]))
    if told := _EPOCH.search(message):
        return max(0.0, int(told.group(1)) - now.timestamp())
    if told := _CLOCK.search(message):
        return _until_clock(told, now)
    return None


def _until_clock(told: re.Match[str], now: datetime) -> float | None:
    try:
        here = now.astimezone(ZoneInfo(told["zone"]) if told["zone"] else None)
        hour = int(told["hour"]) % 12 + (12 if told["half"].lower() == "p" else 0)
        then = here.replace(hour=hour, minute=int(told["minute"] or 0), second=0, microsecond=0)
    except (ValueError, LookupError, OSError):
        return None  # a zone or an hour that does not exist
    return ((then - here) % timedelta(days=1)).total_seconds()


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _MAX_MESSAGE else line[: _MAX_MESSAGE - 1] + "…"

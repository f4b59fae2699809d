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
    (
        FailureKind.NETWORK,  # Node
        r"\b(ECONNREFUSED|ECONNRESET|ENOTFOUND|ETIMEDOUT|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH)\b",
    ),
    (FailureKind.NETWORK, r"\bfetch failed\b|\bConnection error\b"),  # undici; the OpenAI SDK
    (FailureKind.NETWORK, r"\boverloaded_error\b"),  # Anthropic
)

_STOPPED_BY_US = {
    EndedBy.TIMEOUT: (FailureKind.TIMEOUT, "stopped at its time limit"),
    EndedBy.IDLE: (FailureKind.STALLED, "stopped after it had said nothing for too long"),
    EndedBy.TOO_DEAR: (FailureKind.ATTEMPT_LIMIT, "stopped at its cost limit (max_cost_usd)"),
    EndedBy.LOG_FULL: (FailureKind.LOG_FULL, "stopped after it had printed more than max_log_mb"),
}

# A script whose interpreter is looked for by env, as npm's are: `env: 'node': No such file or directory`.
_INTERPRETER_MISSING = re.compile(r"(?:\S*/)?env: .+")
_ENV_STATUSES = (126, 127)  # may not be executed; not found

# OpenAI's code and words for a bill that is not paid; it comes as a 429, and waiting does not mend it.
# Gemini has the same words for a limit, and tells a time.
_UNPAID = re.compile(
    r"\binsufficient_quota\b|\bexceeded your current quota, please check your plan and billing"
)

# On stderr an HTTP status, or the name of a network error, says why only in a line that is the error itself:
# no assertion and no `FAILED test_x.py` of the work's own tests, and not any line because it is the last one.
_ERROR_LINE = re.compile(
    r"\s*[❌✖✗]|\W*(?:cause\W+)?(?:(?:fatal|uncaught|unhandled|api)[ _]?)?"
    r"(?:(?!assertion)[\w.]*error|exception|(?-i:[Ff]ailed|(?:connect|read|write|getaddrinfo) E[A-Z_]+))\b",
    re.IGNORECASE,
)
# `Warning: HTTP error: 404`, `2026-11-22T06:23:25Z WARN ...`, `(node:7) [DEP0040] DeprecationWarning: ...`
_WARNING_LINE = re.compile(r"\s*⚠|\W*(?:\S+\s+){0,2}\[?\w*warn(?:ing)?\b", re.IGNORECASE)

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
# A time of day that passed so short a while ago is over; it is not tomorrow's.
_JUST_PASSED = timedelta(minutes=15)


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
    if by.is_elsewhere:
        return _elsewhere(spec, ending, transcript)
    done = ending.returncode == 0 if by is EndedBy.EXITED else transcript.complete
    if done and transcript.error is None and transcript.final_text:
        return None
    if by in _STOPPED_BY_US and transcript.error is None:
        # Words on stderr may be an hour old; only an error that nothing followed says why it hung.
        kind, words = _STOPPED_BY_US[by]
        return Failure(kind, f"{spec.agent_id}: {words}")
    if ending.returncode in _ENV_STATUSES and _INTERPRETER_MISSING.fullmatch(transcript.stderr.strip()):
        return Failure(FailureKind.NOT_INSTALLED, f"{spec.agent_id}: {one_line(transcript.stderr)}")
    error = transcript.error or _stderr_error(spec, transcript.stderr)
    told = error.retry_after if error.retry_after is not None else _told_wait(error.message, now)
    kind = _kind_of(spec, ending, error, structured=transcript.error is not None)
    if kind is FailureKind.RATE_LIMIT and told is None and _UNPAID.search(error.message):
        kind = FailureKind.BUDGET
    message = f"{spec.agent_id}: {error.message or 'no final message'} ({_how(ending)})"
    return Failure(kind, one_line(message), told)


def _elsewhere(spec: AgentSpec, ending: Ending, transcript: Transcript) -> Failure:
    """What became of one that was to run elsewhere; a launcher's own words say more than its status."""
    said = [line.strip() for line in transcript.stderr.splitlines() if line.strip()]
    if ending.ended_by is EndedBy.NOT_LAUNCHED:
        why = ending.words or (said or ["its launcher ended before anything had begun"])[-1]
        return Failure(FailureKind.NOT_LAUNCHED, one_line(f"{spec.agent_id} was not launched: {why}"))
    why = ending.words + (f" ({said[-1]})" if said and ending.ended_by is EndedBy.LOST else "")
    return Failure(FailureKind.LOST, one_line(f"{spec.agent_id}: {why}"))


def _kind_of(spec: AgentSpec, ending: Ending, error: AgentError, *, structured: bool) -> FailureKind:
    """What is said in a place made for it comes first, then the exit status, then the words of the error."""
    by_code = spec.failure_codes.get(error.code or "") or _by_status(error.status)
    by_exit = spec.exit_kinds.get(ending.returncode or 0)
    in_order = (by_code, by_exit) if structured else (by_exit, by_code)
    by_words = _by_words(spec, error.message, is_error=structured or _is_error(error.message))
    return next((kind for kind in (*in_order, by_words) if kind), FailureKind.CRASHED)


def _by_words(spec: AgentSpec, message: str, *, is_error: bool) -> FailureKind | None:
    """Words of the agent's own count anywhere, those of shared libraries only in what is an error."""
    words = (*spec.failure_words, *(_COMMON_WORDS if is_error else ()))
    return next((kind for kind, phrase in words if re.search(phrase, message)), None)


def _is_error(line: str) -> bool:
    return _ERROR_LINE.match(line) is not None


def _stderr_error(spec: AgentSpec, stderr: str) -> AgentError:
    """The last line that says why, by words of the agent's own, or being an error; else the last of all."""
    said = (line.strip() for line in stderr.splitlines())
    lines = [line for line in said if line and not _WARNING_LINE.match(line)]
    status = re.compile(spec.output.status_pattern or r"(?!)")
    for line in reversed(lines):
        is_error = _is_error(line)
        if is_error and (told := status.search(line)):
            return AgentError(line, int(told.group(1)))
        if _by_words(spec, line, is_error=is_error):
            return AgentError(line)
    errors = [line for line in lines if _is_error(line)]
    return AgentError((errors or lines or [""])[-1])


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
        today = here.replace(hour=hour, minute=int(told["minute"] or 0), second=0, microsecond=0)
        # Without a zone it is the system's, of which `here` has but the offset that it has now.
        today = today if told["zone"] else today.replace(tzinfo=None)
        days = [(today + timedelta(days=day)).astimezone(timezone.utc) for day in (-1, 0, 1)]
    except (ValueError, LookupError, OSError):
        return None  # a zone or an hour that does not exist
    then = next(day for day in days if now - day <= _JUST_PASSED)
    return max(0.0, (then - now).total_seconds())


def one_line(text: str) -> str:
    """A message that fits a line, in whatever lines it came."""
    line = " ".join(text.split())
    return line if len(line) <= _MAX_MESSAGE else line[: _MAX_MESSAGE - 1] + "…"

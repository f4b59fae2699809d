"""How the time of day is written, wherever we write it."""

from __future__ import annotations

from datetime import datetime, timezone


def utc_now() -> str:
    """The time of day, ISO 8601 in UTC, to the millisecond."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")


def local_minute(utc: str) -> str:
    """The same time of day to the minute, where we are: `2026-01-31 23:59`."""
    return datetime.fromisoformat(utc).astimezone().strftime("%Y-%m-%d %H:%M")


def clock_time(epoch: float) -> str:
    """A time of day to the minute, where we are, with the name of the zone: `15:00 CET`."""
    return datetime.fromtimestamp(epoch, timezone.utc).astimezone().strftime("%H:%M %Z")


def local_time(epoch: float) -> str:
    """A time of day where we are, with its offset from UTC: `15:04:05+01:00`."""
    return datetime.fromtimestamp(epoch, timezone.utc).astimezone().isoformat(timespec="seconds")[11:]


def stopwatch(seconds: float) -> str:
    """A time that runs: `0:07`, `12:03`, `1:12:03`."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def duration(seconds: float) -> str:
    """A stretch of time, as exactly as anybody wants to know it: `42 s`, `12 min`, `1 h 12 min`."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"

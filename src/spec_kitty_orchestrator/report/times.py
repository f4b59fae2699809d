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

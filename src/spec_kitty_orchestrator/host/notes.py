"""Tells the host what no transition carries (a retry, a fallback), beside the work and in order."""

from __future__ import annotations

import math

import trio

from ..errors import HostError
from ..report.events import Notice
from ..report.stream import EventStream
from .client import HostClient


class Notes:
    """Notes on their way to the host. Nobody waits for them but the end of the run."""

    def __init__(self, host: HostClient, events: EventStream) -> None:
        self._host, self._events = host, events
        self._send, self._receive = trio.open_memory_channel[tuple[str, str]](math.inf)

    def note(self, wp_id: str, text: str) -> None:
        """Has a note appended to a work package's history, some time soon."""
        self._send.send_nowait((wp_id, text))

    async def keep(self) -> None:
        """Sends the notes until `close`; one that the host does not take is no reason to stop anything."""
        async for wp_id, text in self._receive:
            try:
                await self._host.append_history(wp_id, text)
            except HostError as problem:
                self._events.emit(Notice(f"{wp_id}: the host did not take a note ({problem})"))

    def close(self) -> None:
        """No more notes will come; `keep` ends when the last one is sent."""
        self._send.close()

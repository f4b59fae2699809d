"""Measures what the worst output costs that an agent can print: CPU, and how long nothing else can run.

    python benchmarks/output.py

Fed to a real reader, in pieces as they come from a pipe; the document is read in a thread, as in a run.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.table import show

from spec_kitty_orchestrator.agents import get_agent
from spec_kitty_orchestrator.agents.transcript import open_reader
from spec_kitty_orchestrator.processes.agent_process import CHUNK_BYTES

MIB = 2**20
LINES = {
    "empty lines": b"\n",
    "lines of one character": b"x\n",
    "lines of `{}`": b"{}\n",
}
INNER = b"[" * 900 + b"]" * 900
LONG_LINES = {
    "of lists": b"[" + b"[]," * (MIB * 4 // 3 - 10) + b"0]\n",
    "of numbers": b"[" + b"1," * (MIB * 2 - 10) + b"0]\n",
    "of keys": b"{" + b",".join(b'"%x":0' % n for n in range(90_000)) + b"}\n",
    "of deep lists": b"[" + b",".join([INNER] * 100) + b"]\n",
    "of one text": b'{"a":"' + b"\\n" * (MIB * 2 - 10) + b'"}\n',
}
DOCUMENTS = {
    "of numbers": b"[" + b"1," * (MIB * 4 - 10) + b"0]\n",
    "of 240,000 keys": b"{" + b",".join(b'"%x":0' % n for n in range(240_000)) + b"}\n",
    "that begins 1,000 times": (b'["' + b"x" * 8000 + b'",\n') * 1000,
    "of brackets": b"[\n" * (MIB * 4),
    "of colours": b"\x1b[m" * (MIB * 8 // 3),
}


def pieces(data: bytes) -> Iterator[bytes]:
    return (data[start : start + CHUNK_BYTES] for start in range(0, len(data), CHUNK_BYTES))


def measure_lines(data: bytes, times: int = 1) -> tuple[float, float]:
    """CPU seconds for feeding it so many times, and the longest that one piece took."""
    reader, longest = open_reader(get_agent("claude-code")), 0.0
    began = time.process_time()
    for _ in range(times):
        for piece in pieces(data):
            before = time.thread_time()
            reader.feed_stdout(piece)
            longest = max(longest, time.thread_time() - before)
    return time.process_time() - began, longest


def measure_document(document: bytes) -> tuple[float, float]:
    """Seconds that reading took in a thread, and for how long at most another thread could not run."""
    reader = open_reader(get_agent("letta"))
    for piece in pieces(document):
        reader.feed_stdout(piece)
    thread = threading.Thread(target=reader.finish)
    began = looked = time.perf_counter()
    longest = 0.0
    thread.start()
    while thread.is_alive():
        time.sleep(0.001)
        longest, looked = max(longest, time.perf_counter() - looked), time.perf_counter()
    return looked - began, longest


def main() -> None:
    for what, line in LINES.items():
        cpu, longest = measure_lines(line * (MIB // len(line)), 256)
        show(f"own CPU for 256 MiB of {what}, longest hold {longest * 1000:.0f} ms", f"{cpu:.1f} s", "-")
    # Events that say nothing cannot be passed over.
    cpu, longest = measure_lines(b'{"a":1}\n' * (MIB // 8))
    show(f"1 MiB of the shortest events, longest hold {longest * 1000:.0f} ms", f"{cpu:.1f} s", "-")
    for what, line in LONG_LINES.items():
        _, longest = measure_lines(line)
        show(f"a line {what}, {len(line) / MIB:.1f} MiB", f"{longest * 1000:.0f} ms", "< 50 ms")
    for what, document in DOCUMENTS.items():
        seconds, longest = measure_document(document)
        size = len(document) / MIB
        show(
            f"a document {what}, {size:.1f} MiB, in {seconds:.1f} s",
            f"{longest * 1000:.0f} ms",
            "< 200 ms",
        )


if __name__ == "__main__":
    main()

"""A log that may still be written: read piece by piece, to where it ends, or as it grows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from ..errors import UsageError

PIECE_BYTES = 256 * 1024
LOOK_SECONDS = 0.2
"""Between two looks at a log that has not grown: it follows an agent as closely as a person can read."""


def pieces(path: Path, has_ended: Callable[[], bool]) -> Iterator[bytes]:
    """What is in a log, and what comes until it has ended; an empty piece before every wait.

    `has_ended` is asked before what is there is read, so that nothing is missed that was written before.

    Raises:
        UsageError: it cannot be read, or has ended and is not there.
    """
    with ExitStack() as closing:
        file: BinaryIO | None = None
        while True:
            ended = has_ended()
            file = file or _opened(path, closing, may_be_missing=not ended)
            while file is not None and (piece := file.read(PIECE_BYTES)):
                yield piece
            if ended:
                return
            yield b""
            time.sleep(LOOK_SECONDS)


def _opened(path: Path, closing: ExitStack, *, may_be_missing: bool) -> BinaryIO | None:
    try:
        return closing.enter_context(path.open("rb"))
    except FileNotFoundError as problem:
        if may_be_missing:  # the attempt was announced, and its log is made next
            return None
        raise UsageError(f"{path} is not there any more") from problem
    except OSError as problem:
        raise UsageError(f"{path} cannot be read: {problem.strerror}") from problem

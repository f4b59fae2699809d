"""The one file that a far keeper is run from: standard library only, put beside the logs of a run."""

from __future__ import annotations

import io
import os
import zipfile
from functools import cache
from pathlib import Path

NAME = "far-keeper.pyz"
MODULES = ("__init__", "bounds", "_killing", "_keeper", "_far")
START = "from processes._far import main; main()\n"
A_DAY = (2020, 1, 1, 0, 0, 0)


def put_far_keeper(folder: Path) -> Path:
    """Puts the file there, unless it is there as it should be; whoever reads it sees the whole one.

    Raises OSError.
    """
    path, data = folder / NAME, _packed()
    if not (path.exists() and path.read_bytes() == data):
        draft = path.with_suffix(f".{os.getpid()}")
        draft.write_bytes(data)
        os.replace(draft, path)
    return path


@cache
def _packed() -> bytes:
    """Python runs a zip file as it runs a script; nothing in it is compressed, which takes no library."""
    packed, here = io.BytesIO(), Path(__file__).parent
    texts = {f"processes/{name}.py": (here / f"{name}.py").read_bytes() for name in MODULES}
    with zipfile.ZipFile(packed, "w") as archive:
        for name, text in {**texts, "__main__.py": START.encode()}.items():
            archive.writestr(zipfile.ZipInfo(name, A_DAY), text)
    return packed.getvalue()

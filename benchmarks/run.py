"""Measures everything that the figures to hold are about, and prints it as one table.

    python benchmarks/run.py

Takes about seven minutes on a quiet machine with two cores. Nothing is asserted: a figure that is missed is
seen beside the one to hold.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import elsewhere, evidence, floor, order, output, overhead, program, stopping, walls
from benchmarks.table import show


def main() -> None:
    show("what", "measured", "to hold")
    for part in (program, floor, overhead, walls, order, evidence, output, elsewhere, stopping):
        part.main()


if __name__ == "__main__":
    main()

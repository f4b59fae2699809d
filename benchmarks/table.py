"""One row of what is measured."""

ROW = "{:<66} {:>12} {:>16}"


def show(what: str, measured: str, to_hold: str) -> None:
    """Prints a row at once: some take a while."""
    print(ROW.format(what, measured, to_hold), flush=True)

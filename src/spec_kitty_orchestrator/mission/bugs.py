"""What is kept of a bug of ours that a work package ran into, for whoever reports it."""

from __future__ import annotations

import traceback

from .context import RunContext


def record_bug(run: RunContext, wp_id: str, bug: Exception) -> str:
    """Writes its traceback into the run's logs, if they can be written; what to say of it."""
    path = run.log_dir / f"{wp_id}-internal-error.txt"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        text = "".join(traceback.format_exception(type(bug), bug, bug.__traceback__))
        path.write_text(text, encoding="utf-8")
    except OSError:  # its siblings go on
        return f"internal error: {bug!r}"
    return f"internal error: {bug!r}; see {path.relative_to(run.repo_root)}"

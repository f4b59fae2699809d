"""Has coding agents implement and review every work package of a spec-kitty mission."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .host.contract.policy import PolicyMetadata

__all__ = ["PolicyMetadata", "__version__"]

__version__ = "1.0.0"


def __getattr__(name: str) -> Any:
    """Imports what is asked for only then, so that `--help` pays for nothing but itself."""
    if name == "PolicyMetadata":
        from .host.contract.policy import PolicyMetadata

        return PolicyMetadata
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

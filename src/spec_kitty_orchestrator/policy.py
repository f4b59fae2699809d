"""The public name of PolicyMetadata, as users import it."""

from __future__ import annotations

from spec_kitty_orchestrator.contract.policy import PolicyMetadata

__all__ = ["PolicyMetadata"]

"""The public name of PolicyMetadata, as users import it."""

from __future__ import annotations

from .host.contract.policy import PolicyMetadata

__all__ = ["PolicyMetadata"]

"""What a repository's config and refs say of the checkout: the branch, the remote's main one, who commits."""

from __future__ import annotations

from pathlib import Path

from attrs import frozen

from .history import open_history


@frozen
class About:
    """Facts of a primary checkout.

    Attributes:
        branch: what is checked out; empty when detached.
        main_branch: what `origin` called its HEAD when it was cloned; empty when that is not known.
        names_committer: its own config, without the user's and the system's, has a name and an e-mail.
    """

    branch: str
    main_branch: str
    names_committer: bool


def about(git: Path) -> About:
    """Looks. Raises whatever a damaged repository makes a reader raise."""
    with open_history(git) as history:
        own = [history.own_setting("user", name) for name in ("name", "email")]
        return About(history.head()[0], history.main_branch_of("origin"), all(own))

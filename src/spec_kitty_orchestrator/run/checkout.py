"""Which checkout a run belongs to: a copy of a project holds the files of its run too, but not the run."""

from __future__ import annotations

from pathlib import Path

from attrs import frozen


@frozen
class Checkout:
    """One checkout, wherever it is seen from.

    Attributes:
        root: its folder.
        device, inode: of its `.git`, which a copy has another of, and which is the same in every container.
    """

    root: str
    device: int
    inode: int

    @classmethod
    def of(cls, repo_root: Path) -> Checkout:
        """The checkout in a folder that `find_repo_root` has found."""
        found = (repo_root / ".git").stat()
        return cls(str(repo_root), found.st_dev, found.st_ino)

    def is_same(self, other: Checkout | None) -> bool:
        """Whether this is the one that was recorded; None: that was before checkouts were, taken for yes.

        A device may get another number when the machine is started again; folder and inode stay.
        """
        if other is None:
            return True
        return self.inode == other.inode and (self.device == other.device or self.root == other.root)

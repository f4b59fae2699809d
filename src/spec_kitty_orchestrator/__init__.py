"""Has coding agents implement and review every work package of a spec-kitty mission."""

__version__ = "1.0.0"

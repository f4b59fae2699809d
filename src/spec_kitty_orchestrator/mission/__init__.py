"""What happens to a mission and its work packages: read `mission.py`, `work_package.py`, `rules.py` first.

Files of ours, signals and the terminal belong into `run`, `processes` and `report`.
"""

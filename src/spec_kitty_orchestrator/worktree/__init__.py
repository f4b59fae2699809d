"""Reads the files of a git worktree and compares them with its index, as `git status` does.

No program is started and nothing is written: the same answer comes from the same rules, read here. What is
stored in the repository (commits, trees, refs, config) is read in `mission.evidence`.
"""

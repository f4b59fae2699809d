"""The command line: one file for each command; `main.py` is the group.

Options and words belong here; what a command does stands below, and is imported only when it is done.
"""

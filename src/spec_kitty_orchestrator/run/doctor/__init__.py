"""What a run needs, checked one by one, each with its remedy. Nothing is changed.

A file for each group of checks; `examination.py` says which there are and makes them.
"""

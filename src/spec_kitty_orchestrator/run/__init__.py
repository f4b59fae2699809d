"""One run, from the first signal handler to the exit code: checked, locked, remembered, stopped.

What happens to a work package in it belongs into `mission`.
"""

"""The fake host: the contract as a state machine, a program made of it, and its place inside a test.

The standard library alone, but for `in_process`. What judges a host's replies, this one's too, stays outside.
"""

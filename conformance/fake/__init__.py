"""The fake host: the contract as a state machine, its program, and its place inside a test.

What puts a host to the test, or judges what it said, is no part of it, and is not imported here.
"""

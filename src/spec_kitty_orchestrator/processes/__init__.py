"""Nothing outlives us: all that starts, watches and ends processes, and each bound on that.

What an agent or the host is, nobody knows here.
"""

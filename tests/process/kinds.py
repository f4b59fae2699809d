"""The misbehaving agents of `agents.py` that stay until they are ended."""

STAYING = (
    "obey",
    "ignore",
    "grandchild",
    "nameless_grandchild",
    "stopped_grandchild",
    "server",
    "fork_loop",
    "run_away",
    "print_for_ever",
    "close_output",
    "final_then_stay",
    "stop_itself",
    "open_terminal",
)

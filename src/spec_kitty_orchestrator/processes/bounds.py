"""Every bound on a stop, in one table, in seconds; what a setting bounds (`grace_seconds`) comes on top.

Standard library only, and little of it: each keeper loads this file.
"""

from __future__ import annotations

# In the keeper, after the grace.
SETTLE_SECONDS = 0.02
"""What is still dying of itself when the command exits is not called left behind."""
LEFTOVER_SECONDS = 2.0
"""How long something that the command left behind may take to obey SIGTERM (never more than the grace)."""
SWEEP_SECONDS = 5.0
"""How long SIGKILL may need: a bound against what cannot be killed (another user's, stuck in the kernel)."""
SWEEP_PAUSE_SECONDS = 0.005
"""Between two looks at what SIGKILL was sent to, when nothing new appears: dying takes about that long."""
LONGEST_PAUSE_SECONDS = 0.1
"""What that pause grows to, by doubling: what does not die must not cost the processor."""
REFUSED_SECONDS = 1.0
"""How long those who refuse our SIGKILL, all of them another user's, may take to go by themselves."""

# Above the keeper.
START_SECONDS = 30.0
"""From the start of a keeper to its first report; it takes 13 ms, and a second where all cores are busy."""
BUSY_SECONDS = 1.0
"""What a busy machine adds."""
KEEPER_SECONDS = LEFTOVER_SECONDS + SWEEP_SECONDS + BUSY_SECONDS
"""What a keeper may need beyond the grace until it has reported the end; then it is taken for lost."""
KEEPER_OF_THE_DEAD_SECONDS = LEFTOVER_SECONDS + BUSY_SECONDS
"""What a keeper of a run that is dead may need beyond the grace before we take over: SIGKILL is ours then."""
EXIT_SECONDS = 10.0
"""From a complete transcript to the agent's exit; then it is stopped, and its success stands."""
DRAIN_SECONDS = 5.0
"""From an agent's end, with every descendant gone, to the end of its output."""
INHIBITOR_GRACE_SECONDS = 1.0
"""What the program that keeps the machine awake has between SIGTERM and SIGKILL."""

# What tells people outside.
NOTICE_SECONDS = 30.0
"""What a command of `on_attention` or `on_finish` may take; then it is stopped."""
NOTICE_GRACE_SECONDS = 1.0
"""What it has between SIGTERM and SIGKILL."""
NOTICE_AT_STOP_SECONDS = 5.0
"""What all commands of `on_finish` have, that grace included, when the run ends because it was told to."""

# The host, in place of a grace.
ROLLBACK_SECONDS = 10.0
"""What a change gets after SIGINT to undo itself before it is killed; measured: under 1 s."""
ORPHANED_CHANGE_SECONDS = 10.0
"""What a change gets to end by itself when we were killed: five times what one takes."""

# Elsewhere: a launcher (srun, podman) with a keeper of ours behind it.
LAUNCHER_SECONDS = 5.0
"""Between SIGTERM and SIGKILL for a launcher that did not end with what it launched."""
FAR_EXIT_SECONDS = 10.0
"""From the far keeper's last word to the launcher's exit; then the launcher is ended."""
CLEANUP_SECONDS = 45.0
"""Until a cluster says that a job is gone; Slurm's own KillWait is 30."""
HURRIED_CLEANUP_SECONDS = 10.0
"""The same, once everything is to be killed at once; what was not confirmed then, the next run asks about."""
REPORT_SECONDS = 5.0
"""What the far keeper's last word may take to be seen here, over a shared file system."""
FAR_SECONDS = LAUNCHER_SECONDS + KEEPER_SECONDS + CLEANUP_SECONDS + REPORT_SECONDS
"""What all of that adds to the end of an agent that is not on this machine."""

# The whole run.
SAME_EVENT_SECONDS = 0.1
"""Signals this close are one event: a shell and the terminal both send SIGHUP, a wrapper passes Ctrl-C on."""
SAVE_SECONDS = 5.0
"""What the last word on a run may take to get to the disk; then the one before it stands."""
RECORDS_SECONDS = 10.0
"""What the last events may take to be in their file and, after it, in a pipe; spans leave beside them."""
PAGE_SECONDS = 5.0
"""What the page of the run may take; a thousand work packages of four attempts take one."""
KILLED_SECONDS = 10.0
"""What a process may need to be gone after SIGKILL."""
HARD_EXIT_SECONDS = 15.0
"""From the last bound of an orderly stop to the moment when the program leaves, whatever still hangs."""


def orderly_stop_seconds(grace: float) -> float:
    """The longest that a run may take to stop its agents, each step at its bound; `abort` waits so long.

    A keeper ends its agent, or is taken for lost and its orphans are ended from above; then comes the rest of
    the output, then the state file, events and page, and at last those are told who want to be.
    """
    agents = grace + KEEPER_SECONDS + SWEEP_SECONDS + DRAIN_SECONDS
    return agents + SAVE_SECONDS + RECORDS_SECONDS + PAGE_SECONDS + NOTICE_AT_STOP_SECONDS


def hard_exit_seconds(grace: float, host_timeout: float) -> float:
    """From the order to stop to the hard exit; agents and a change at the host end side by side."""
    change = host_timeout + ROLLBACK_SECONDS + KEEPER_SECONDS
    return max(orderly_stop_seconds(grace), change) + HARD_EXIT_SECONDS

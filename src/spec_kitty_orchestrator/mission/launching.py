"""Where an attempt runs: here, or by which launcher elsewhere; see `processes/far.py`."""

from __future__ import annotations

from pathlib import Path

from ..agents.agent import Agent
from ..host.workspace import Workspace
from ..processes.attempt_log import LogNotWritten
from ..processes.far_file import put_far_keeper
from ..processes.launcher import FarJob, FarLaunch, News, fill, launch_line
from ..report.wp_events import PlaceFound, WaitingForPlace
from .context import RunContext
from .records import AttemptRecord

OF_US = "sko-"
"""What the names of all our jobs begin with; the rest is used once."""


def launch_elsewhere(
    run: RunContext, wp_id: str, record: AttemptRecord, agent: Agent, workspace: Workspace
) -> FarLaunch | None:
    """How an attempt gets to where it runs, with the files that it needs for that; None: it runs here.

    The record knows of its job from here on: whoever comes after a crash ends it.

    Raises:
        LogNotWritten: they cannot be written.
    """
    launcher = agent.settings.launcher
    if launcher is None or not launcher.is_far:
        return None
    name = OF_US + run.new_session_id()
    places = {"workspace": str(workspace.path), "repository": str(run.repo_root)}
    job = FarJob(launcher.use, name, fill(launcher.command.cleanup, name, places))
    report = (run.repo_root / record.log).with_suffix(".far")
    try:
        keeper = put_far_keeper(run.log_dir)
        report.touch(0o600)
    except OSError as problem:
        raise LogNotWritten(f"cannot write in {run.log_dir}: {problem.strerror}") from problem

    def tell(news: News) -> None:
        what = (wp_id, record.role.value, record.agent, record.number)
        if news.where:
            run.events.emit(PlaceFound(*what, news.where, round(news.seconds, 3)))
        else:
            run.events.emit(WaitingForPlace(*what, launcher.use.value, name))

    record.job = job
    run.save(wp_id)
    argv = launch_line(launcher, job, Path(keeper), places)
    return FarLaunch(argv, job, report, launcher.silence_seconds, launcher.start_within_seconds, tell)

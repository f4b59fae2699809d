"""How a command gets to where it runs: here, by Slurm, or by a command of the user's own. Values only."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from pathlib import Path
from string import Template

from attrs import frozen

SAME_CONTROLLER = "SLURM_CONF"
_READ_BY_SLURM = ("SLURM_", "SRUN_", "SQUEUE_", "SCANCEL_")


class LauncherKind(str, enum.Enum):
    """By what a command gets to where it runs; the value is the word in settings and records."""

    LOCAL = "local"
    SLURM = "slurm"
    COMMAND = "command"


@frozen
class SlurmOptions:
    """What `srun` is told of a job: in its own words, where they are text. `cpus` are those of one task."""

    partition: str | None = None
    cpus: int | None = None
    memory: str | None = None
    time: str | None = None
    account: str | None = None
    extra_args: tuple[str, ...] = ()

    @property
    def args(self) -> tuple[str, ...]:
        """As `srun` takes them."""
        told = {
            "partition": self.partition,
            "cpus-per-task": self.cpus,
            "mem": self.memory,
            "time": self.time,
            "account": self.account,
        }
        return (*(f"--{name}={value}" for name, value in told.items() if value is not None), *self.extra_args)


@frozen
class CommandOptions:
    """A command that carries stdin, stdout and stderr to another place, and one that ends what is left there.

    In both `$name` stands for the attempt's own name, `$workspace` for its folder, `$repository` for the
    project's.
    """

    prefix: tuple[str, ...] = ()
    cleanup: tuple[str, ...] = ()


@frozen
class Launcher:
    """`launcher:` where agents run. Times are seconds.

    Attributes:
        python: the interpreter there, 3.9 or newer, which our keeper is run by.
        silence_seconds: how long the keeper there goes on without a sign of life from here.
        start_within_seconds: how long an attempt may wait to begin there.
    """

    use: LauncherKind = LauncherKind.LOCAL
    slurm: SlurmOptions = SlurmOptions()
    command: CommandOptions = CommandOptions()
    python: str = "python3"
    silence_seconds: float = 60.0
    start_within_seconds: float = 24 * 3600.0

    @property
    def is_far(self) -> bool:
        """Agents do not run below us."""
        return self.use is not LauncherKind.LOCAL


@frozen
class FarJob:
    """One attempt elsewhere, by the name that it has there alone, and how what is left of it is ended."""

    kind: LauncherKind
    name: str
    cleanup: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.kind.value} job {self.name}"


@frozen
class News:
    """What is known of a command on its way: it waits for a place (`where` is empty), or began there.

    Attributes:
        seconds: since it was sent.
    """

    where: str
    seconds: float


@frozen
class FarLaunch:
    """How one command gets to its place, and what is told of it.

    Attributes:
        argv: the launcher's command line; the last words are our keeper's.
        report: the file that the keeper there writes to; it exists, and is empty.
        on_news: is told when it has to wait, and when it begins.
    """

    argv: tuple[str, ...]
    job: FarJob
    report: Path
    silence: float
    start_within: float
    on_news: Callable[[News], None] = lambda _: None


def launch_line(launcher: Launcher, job: FarJob, keeper: Path, places: Mapping[str, str]) -> tuple[str, ...]:
    """The command line that has our keeper run elsewhere."""
    far = (launcher.python, "-I", "-S", str(keeper))
    if launcher.use is LauncherKind.SLURM:
        return (*srun(launcher.slurm, job.name), *far)
    return (*fill(launcher.command.prefix, job.name, places), *far)


def srun(options: SlurmOptions, name: str) -> tuple[str, ...]:
    """`srun` for one task. It takes a folder that is missing there for /tmp (22.05), so it is told `/`."""
    fixed = ("--quiet", "--unbuffered", "--ntasks=1", "--export=ALL", "--chdir=/")
    return ("srun", f"--job-name={name}", *fixed, *options.args)


def fill(words: tuple[str, ...], name: str, places: Mapping[str, str]) -> tuple[str, ...]:
    """A command of the user's with its names in place.

    Raises KeyError or ValueError for a name that means nothing.
    """
    return tuple(Template(word).substitute(places, name=name) for word in words)


def launcher_environ(kind: LauncherKind, env: Mapping[str, str]) -> dict[str, str]:
    """The environment without what would make `srun` a step of a job that we are in, or ask it for more, or
    hide a job from `squeue` and `scancel`.
    """
    if kind is not LauncherKind.SLURM:
        return dict(env)
    return {
        key: value
        for key, value in env.items()
        if key == SAME_CONTROLLER or not key.startswith(_READ_BY_SLURM)
    }

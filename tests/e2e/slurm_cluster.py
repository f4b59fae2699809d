"""A Slurm of our own: one controller, two nodes on this machine, munge; all in one folder, on free ports.

Processes are found by Slurm's worst means (`proctrack/linuxproc`, by their parents), which need no cgroups.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from attrs import define, field

NODES = ("node1", "node2")
CPUS = 2
PROGRAMS = ("munged", "slurmctld", "slurmd", "srun", "scancel", "squeue", "sinfo")
PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
STARTED_IN_SECONDS = 60

CONF = """\
ClusterName=lab
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmctldPort={ports[0]}
AuthType=auth/munge
AuthInfo=socket={lab}/munge
StateSaveLocation={lab}/state
SlurmdSpoolDir={lab}/spool.%n
SlurmctldPidFile={lab}/slurmctld.pid
SlurmdPidFile={lab}/slurmd.%n.pid
SlurmctldLogFile={lab}/slurmctld.log
SlurmdLogFile={lab}/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=1
ReturnToService=2
SlurmdTimeout=15
SlurmctldTimeout=30
InactiveLimit=0
KillWait=5
MinJobAge=300
NodeName=node1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=2 CoresPerSocket=2
NodeName=node2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=2 CoresPerSocket=2
PartitionName=main Nodes=node1,node2 Default=YES MaxTime=INFINITE State=UP
"""


BELOW_AN_INIT = """
import ctypes, os, subprocess, sys
prctl = ctypes.CDLL(None).prctl
prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
prctl(1, 9, 0, 0, 0)  # PR_SET_PDEATHSIG: tests that are killed leave no daemon
child = subprocess.Popen(sys.argv[2:], preexec_fn=lambda: prctl(1, 9, 0, 0, 0))
with open(sys.argv[1] + ".new", "w") as file:
    file.write(str(child.pid))
os.rename(sys.argv[1] + ".new", sys.argv[1])
while True:
    try:
        os.wait()
    except ChildProcessError:
        break
"""
"""Slurm's step managers leave their daemon. They fall to this, not to the tests, which would take them for
lost agents: on a real node there is no such thing as an orchestrator above them."""


def why_not_here() -> str:
    """Why no cluster can be started here; empty when one can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "a Slurm of our own is started by root on Linux"
    missing = [program for program in PROGRAMS if shutil.which(program, path=PATH) is None]
    return f"not installed: {', '.join(missing)} (apt-get install slurm-wlm munge)" if missing else ""


@define
class Cluster:
    """A cluster that runs. `daemons` are what stands above each of its daemons, by name."""

    lab: Path
    daemons: dict[str, subprocess.Popen[bytes]] = field(factory=dict)

    @property
    def environ(self) -> dict[str, str]:
        """What makes Slurm's commands mean this one."""
        return {"SLURM_CONF": str(self.lab / "slurm.conf")}

    def start(self, name: str, *argv: str) -> None:
        program = shutil.which(argv[0], path=PATH)
        assert program is not None
        log = (self.lab / f"{name}.out").open("ab")
        with log:
            self.daemons[name] = subprocess.Popen(
                [sys.executable, "-S", "-c", BELOW_AN_INIT, str(self._pid_file(name)), program, *argv[1:]],
                env={**os.environ, **self.environ, "PATH": PATH},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _pid_file(self, name: str) -> Path:
        return self.lab / f"{name}.below"

    def pid_of(self, name: str) -> int:
        """The daemon itself."""
        return int(self._pid_file(name).read_text())

    def start_controller(self) -> None:
        """The controller, until it answers."""
        self.start("slurmctld", "slurmctld", "-D")
        self.until(lambda: self.ask("sinfo", "-h"))

    def revive(self) -> None:
        """Both nodes take work, also after one failed, or a job of its could not be ended in time."""
        for node in NODES:
            self.ask("scontrol", "update", f"nodename={node}", "state=resume")
        self.until(self.is_idle)

    def is_idle(self) -> bool:
        """Both nodes are there, and nothing is on them."""
        return self.ask("sinfo", "-h", "-N", "-o", "%T").split() == ["idle"] * len(NODES)

    def stop_controller(self) -> None:
        """As if its machine were gone."""
        os.kill(self.pid_of("slurmctld"), signal.SIGKILL)
        self.daemons["slurmctld"].wait()

    def ask(self, *argv: str) -> str:
        done = subprocess.run(
            argv,
            env={**os.environ, **self.environ, "PATH": PATH},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout

    def jobs(self) -> list[str]:
        """What is queued, runs, or is being ended."""
        return self.ask("squeue", "-h", "-o", "%j %T").splitlines()

    def node_of(self, job_process: psutil.Process) -> list[psutil.Process]:
        """The daemon of the node that a job's process runs on, the job's step manager, and all of the job."""
        step = job_process.parent()
        assert step is not None
        assert step.name() == "slurmstepd"
        daemon = psutil.Process(self.pid_of(job_process.environ()["SLURMD_NODENAME"]))
        return [daemon, step, *step.children(recursive=True)]

    def until(self, what: object, seconds: float = STARTED_IN_SECONDS) -> None:
        until = time.monotonic() + seconds
        while not what():  # type: ignore[operator]
            assert time.monotonic() < until, self.logs()
            time.sleep(0.1)

    def logs(self) -> str:
        """What the daemons said last."""
        files = [*self.lab.glob("*.log"), *self.lab.glob("*.out")]
        return "\n".join(f"{f.name}: {f.read_text(errors='replace')[-1500:]}" for f in files)

    def end(self) -> None:
        """Every daemon, the step managers, and what they hold."""
        if (controller := self.daemons.get("slurmctld")) is not None and controller.poll() is None:
            self.ask("scancel", "--user", "root")
        for name, above in self.daemons.items():
            if above.poll() is None:
                with suppress(OSError, ValueError):  # it has not begun, or is gone and its steps are not
                    for signum in (signal.SIGCONT, signal.SIGTERM):
                        os.kill(self.pid_of(name), signum)
        for above in self.daemons.values():
            try:
                above.wait(timeout=5)
            except subprocess.TimeoutExpired:
                for process in psutil.Process(above.pid).children(recursive=True):
                    process.kill()
                above.wait()


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


@contextmanager
def cluster_in(lab: Path) -> Iterator[Cluster]:
    """A cluster in a folder, from its start to the end of the last of its processes."""
    (lab / "state").mkdir()
    for node in NODES:
        (lab / f"spool.{node}").mkdir()
    host = socket.gethostname().partition(".")[0]
    conf = CONF.format(host=host, user="root", ports=_free_ports(3), lab=lab)
    (lab / "slurm.conf").write_text(conf)
    (lab / "key").write_bytes(os.urandom(1024))
    (lab / "key").chmod(0o400)
    cluster = Cluster(lab)
    try:
        files = {"socket": "munge", "key-file": "key", "pid-file": "munged.pid", "seed-file": "seed"}
        options = [f"--{name}={lab / file}" for name, file in files.items()]
        cluster.start("munged", "munged", "--foreground", "--force", *options)
        cluster.until((lab / "munge").exists)
        cluster.start("slurmctld", "slurmctld", "-D", "-c")
        for node in NODES:
            cluster.start(node, "slurmd", "-D", "-N", node)
        cluster.until(cluster.is_idle)
        yield cluster
    finally:
        cluster.end()

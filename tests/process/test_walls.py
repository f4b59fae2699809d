"""What bwrap really holds: ways out of it, tried from inside, by root and by a user, beside the work itself.

Each way out is tried without a wall first, where it must succeed: one that could not would prove nothing.
"""

from __future__ import annotations

import http.server
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trio
from attrs import define, evolve, field
from tests.e2e.real_agents.install import bin_folder
from tests.process.launch import Launch
from tests.process.stage import PATIENCE
from tests.process.test_nothing_survives import put_through

from spec_kitty_orchestrator.agents import get_agent
from spec_kitty_orchestrator.agents.agent import Agent
from spec_kitty_orchestrator.agents.spec import AgentSettings, Role, Wall
from spec_kitty_orchestrator.host.workspace import Workspace, still_intact
from spec_kitty_orchestrator.processes.ending import EndedBy
from spec_kitty_orchestrator.processes.keeper import Command, open_keeper
from spec_kitty_orchestrator.settings.values import SandboxSettings
from spec_kitty_orchestrator.walls.around import PROGRAMS, Walls
from spec_kitty_orchestrator.walls.enclosure import Occupant
from spec_kitty_orchestrator.walls.trial import try_wall

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="bwrap is Linux's"),
    pytest.mark.skipif(
        shutil.which("bwrap") is None, reason="bwrap is not installed: apt-get install bubblewrap"
    ),
]

USER = 12345
"""Some user who is nobody else."""
USERS = [pytest.param(0, id="root"), pytest.param(USER, id="user")]
SECRET = "the secret of whoever runs this"
SRT = os.pathsep.join(map(str, (bin_folder("srt"), bin_folder("node"))))
BASE = Path("/var/tmp")
"""Not below /tmp, which is private inside: that would prove nothing of the rest."""

GOES_ON = (
    'python3 - <<"PY"\nimport ctypes, os, sys\nlibc = ctypes.CDLL(None, use_errno=True)\n'
    "if libc.ptrace(16, int(os.environ['VICTIM']), 0, 0) != 0: sys.exit(1)\n"
    "os.waitpid(int(os.environ['VICTIM']), 0)\nopen(os.environ['W'] + '/traced', 'w').close()\nPY"
)
CONNECTS = (
    "python3 -c 'import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]);"
    ' s.send(b"let me out")\' '
)

WAYS_OUT = {
    "a hook": 'echo "#!/bin/sh" > $G/hooks/post-commit',
    "the repository's config": "git config core.fsmonitor evil",
    "the main tree's HEAD": "echo ref: refs/heads/evil > $G/HEAD",
    "the main tree's index": "cd $R && git rm -q --cached README",
    "a file of the main tree": "echo evil > $R/README",
    "a new file in the main tree": "echo evil > $R/evil.txt",
    "the other worktree": "echo evil > $R/.worktrees/other/README",
    "the other worktree's git folder": "echo ref: refs/heads/evil > $G/worktrees/other/HEAD",
    "the branch main": "git update-ref refs/heads/main $(git commit-tree 'HEAD^{tree}' -m evil)",
    "main's reflog": "echo evil >> $G/logs/refs/heads/main",
    "a tag": "git tag evil",
    "packed refs": "echo evil > $G/packed-refs",
    "the main reflog, as a link": "ln -sf $HOME/.bashrc $G/logs/HEAD",
    "attributes": "mkdir -p $G/info && echo '* filter=evil' > $G/info/attributes",
    "where the config is": "echo $W/evil > $D/commondir",
    "where the worktree is": "echo $W/evil/.git > $D/gitdir",
    "a config of the worktree's": "git config -f $D/config.worktree core.fsmonitor evil",
    "the file .git": "echo gitdir: $W/evil > $W/.git",
    "another file in place of .git": "echo gitdir: $W/evil > $W/new && mv -f $W/new $W/.git",
    "another mission's plan": "echo evil > $R/plans/other/spec.md",
    "the shell's start": "echo evil >> $HOME/.bashrc",
    "git's own settings": "git config --global alias.st '!evil'",
    "keys that let somebody in": "echo evil >> $HOME/.ssh/authorized_keys",
    "a private key": "grep -q 'secret' $HOME/.ssh/id_rsa && cp $HOME/.ssh/id_rsa $W/stolen",
    "passwords": "grep -q 'secret' $HOME/.netrc && cp $HOME/.netrc $W/stolen",
    "a program in the cloud": "cat $HOME/.aws/credentials > $W/stolen && [ -s $W/stolen ]",
    "the CLI's own settings": "echo evil > $HOME/.claude/settings.json",
    "the CLI's own commands": "echo evil > $HOME/.claude/commands/st.md",
    "a file in /tmp": "echo evil > /tmp/$MARK",
    "shared memory": "echo evil > /dev/shm/$MARK",
    "another process": "kill -9 $VICTIM",
    "the variables of another process": "tr '\\0' '\\n' < /proc/$VICTIM/environ | grep SECRET > $W/stolen",
    "the memory of another process": GOES_ON,
    "what another process has open": "echo evil > /proc/$VICTIM/cwd/README",
    "a socket in /run or /tmp": f"{CONNECTS} $SOCKET",
    "a hard link": "ln $R/README $W/linked && echo evil > $W/linked",
}
ONLY_ROOT = {
    "the system": "echo evil > /etc/$MARK",
    "programs": "echo evil > /usr/local/bin/$MARK",
    "a kernel's setting": "cat /proc/sys/kernel/printk > /proc/sys/kernel/printk",
    "what the kernel runs": ": >> /proc/sys/kernel/core_pattern",
    "a device": "mknod $W/$MARK b 7 0 && head -c 1 $W/$MARK; [ -b $W/$MARK ]",
}
LEAVE_NO_TRACE = {"a kernel's setting", "what the kernel runs"}
"""Here; that they could be opened for writing is all that is asked."""
WITHOUT_A_CONTROL = {
    "everything mounted anew": "mount -o remount,rw,bind / && echo evil > $R/README",
    "the project mounted anew": "mount -o remount,rw,bind $R && echo evil > $R/README",
    "another user namespace": "unshare -Urm sh -c 'mount -o remount,rw,bind / && echo evil > $R/README'",
    "the name of the machine": "hostname evil",
    "another root": "mkdir -p $W/root && mount --bind / $W/root && echo evil > $W/root/$R/README",
    "the root of process 1": "echo evil > /proc/1/root/$R/README",
    "what is below a hidden folder": "umount $HOME/.ssh && cp $HOME/.ssh/id_rsa $W/stolen",
    "the file below a bind": "umount $D/commondir && echo $W/evil > $D/commondir",
}
"""Without a wall these would change this machine, or need what a test may not have."""


@define
class Place:
    """A project with two lanes, a home folder with secrets, a process and a socket; all of one user's."""

    folder: Path
    user: int
    mark: str = field(factory=lambda: f"evil-{uuid.uuid4().hex[:12]}")
    victim: subprocess.Popen[bytes] | None = None
    listener: socket.socket | None = None

    @property
    def repo(self) -> Path:
        return self.folder / "project"

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def socket(self) -> Path:
        return Path("/run" if self.user == 0 else "/tmp") / f"{self.mark}.sock"

    @property
    def workspace(self) -> Workspace:
        git = self.repo / ".git"
        return Workspace(
            path=self.repo / ".worktrees" / "lane",
            git_dir=git / "worktrees" / "lane",
            common_git_dir=git,
            branch="kitty/mission-m-lane",
            base="main",
            prompt_file=self.repo / "plans" / "m" / "tasks" / "WP01.md",
        )

    @property
    def env(self) -> dict[str, str]:
        work = self.workspace
        own = {"R": self.repo, "G": work.common_git_dir, "D": work.git_dir, "W": work.path, "HOME": self.home}
        env = {name: str(path) for name, path in own.items()}
        env |= {
            "PATH": f"{SRT}:{os.environ['PATH']}",
            "MARK": self.mark,
            "SOCKET": str(self.socket),
            "LANG": "C.UTF-8",
        }
        return env | ({"VICTIM": str(self.victim.pid)} if self.victim else {})

    def git(self, *args: str, cwd: Path | None = None) -> str:
        done = subprocess.run(
            ["git", *args],
            cwd=cwd or self.repo,
            env=self.env,
            user=self.user,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    def build(self) -> None:
        for path, text in {
            "project/README": "The project\n",
            "project/plans/m/tasks/WP01.md": "# WP01\n",
            "project/plans/other/spec.md": "# Other\n",
            "home/.bashrc": "# nothing\n",
            "home/.ssh/id_rsa": f"{SECRET}\n",
            "home/.netrc": f"{SECRET}\n",
            "home/.aws/credentials": f"{SECRET}\n",
            "home/.claude/settings.json": "{}\n",
            "home/.claude/commands/st.md": "status\n",
            "home/.gitconfig": "[user]\nname = Somebody\nemail = s@example.invalid\n",
        }.items():
            (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / path).write_text(text)
        self.give_away()
        self.git("init", "-q", "-b", "main")
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "Start")
        for name in ("lane", "other"):
            self.git("worktree", "add", "-q", "-b", f"kitty/mission-m-{name}", f".worktrees/{name}")
        self.give_away()

    def give_away(self) -> None:
        for path in (self.folder, *self.folder.rglob("*")):
            os.chown(path, self.user, self.user, follow_symlinks=False)

    def settle(self) -> None:
        """Starts the process and the socket."""
        env = {**self.env, "SECRET": SECRET}
        self.victim = subprocess.Popen(
            ["sleep", "600"], cwd=self.repo, env=env, user=self.user, start_new_session=True
        )
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.socket))
        os.chown(self.socket, self.user, self.user)
        self.listener.listen()
        self.listener.settimeout(0)

    def clear(self) -> None:
        if self.victim is not None:
            self.victim.kill()
            self.victim.wait()
        if self.listener is not None:
            self.listener.close()
        outside = [
            self.socket,
            *(Path(at) / self.mark for at in ("/tmp", "/dev/shm", "/etc", "/usr/local/bin")),
        ]
        for path in outside:
            path.unlink(missing_ok=True)
        shutil.rmtree(self.folder)

    def occupant(self, role: Role = Role.IMPLEMENTATION, use: Wall = Wall.BWRAP) -> Occupant:
        agent = Agent(get_agent("claude-code"), Path("/bin/sh"), AgentSettings(sandbox=use))
        folder = self.folder / "attempt"
        folder.mkdir(exist_ok=True)
        os.chown(folder, self.user, self.user)
        return Occupant(agent, role, self.workspace, folder, self.env)

    def run(
        self, script: str, role: Role | None = Role.IMPLEMENTATION, use: Wall = Wall.BWRAP, **settings: Any
    ) -> subprocess.CompletedProcess[str]:
        """Runs a script as the user, behind the wall of a role; without a wall when that is None."""
        argv: tuple[str, ...] = ("/bin/sh", "-c", script)
        cwd = self.workspace.path
        if role is not None:
            inside = self.occupant(role, use)
            walls = Walls(SandboxSettings(use, **settings), self.repo, is_root=self.user == 0)
            walled = walls.around(inside, argv)
            for path, text in walled.files.items():
                path.parent.mkdir(exist_ok=True)
                path.write_text(text)
                os.chown(path, self.user, self.user)
            self.give_away()
            argv, cwd = walled.argv, walled.cwd
        return subprocess.run(
            argv, cwd=cwd, env=self.env, user=self.user, capture_output=True, text=True, timeout=60
        )

    def command(self, script: str) -> Command:
        """A script behind its wall, as a keeper of the user's takes it."""
        walls = Walls(SandboxSettings(Wall.BWRAP), self.repo, is_root=self.user == 0)
        walled = walls.around(self.occupant(), ("/bin/sh", "-c", script))
        for path, text in walled.files.items():
            path.write_text(text)
        self.give_away()
        become = ("setpriv", f"--reuid={self.user}", "--clear-groups", "--") if self.user else ()
        return Command((*become, *walled.argv), walled.cwd, self.env, grace=PATIENCE)

    def state(self) -> dict[str, Any]:
        """All that nobody inside may change, or learn."""
        work = self.workspace
        own = (work.path, work.git_dir, self.repo / "plans" / "m", work.common_git_dir / "objects")
        free = (*own, self.folder / "attempt", *(work.common_git_dir / at for at in ("refs/heads/kitty",)))
        kept = [work.path / ".git", *(work.git_dir / name for name in ("commondir", "gitdir"))]
        watched = [*kept, *(path for path in self.folder.rglob("*") if not _below(path, free))]
        assert self.victim is not None
        assert self.listener is not None
        return {
            **{str(path): _content(path) for path in watched if not path.is_dir() or path.is_symlink()},
            "config.worktree": _content(work.git_dir / "config.worktree"),
            "victim": _is_alive(self.victim),
            "connected": _was_called(self.listener),
            "stolen": _content(work.path / "stolen"),
            "traced": (work.path / "traced").exists(),
            "linked": (work.path / "linked").exists() and (work.path / "linked").stat().st_nlink > 1,
            "device": (work.path / self.mark).exists(),
            "outside": [
                Path(at, self.mark).exists() for at in ("/tmp", "/dev/shm", "/etc", "/usr/local/bin")
            ],
            "machine": socket.gethostname(),
        }


def _below(path: Path, folders: tuple[Path, ...]) -> bool:
    return any(path == folder or folder in path.parents for folder in folders)


def _content(path: Path) -> str:
    if path.is_symlink():
        return f"-> {os.readlink(path)}"
    return path.read_text(errors="replace") if path.is_file() else ""


def _is_alive(process: subprocess.Popen[bytes]) -> bool:
    return process.poll() is None


def _was_called(listener: socket.socket) -> bool:
    try:
        listener.accept()[0].close()
    except BlockingIOError:
        return False
    return True


NewPlace = Callable[[int], Place]


@pytest.fixture
def new_place() -> Iterator[NewPlace]:
    """Makes places, which are gone afterwards."""
    places = []

    def make(user: int) -> Place:
        if os.geteuid() != 0:
            pytest.skip("becomes another user, which only root can")
        place = Place(Path(tempfile.mkdtemp(prefix="walls-", dir=BASE)), user)
        places.append(place)
        place.folder.chmod(0o755)
        place.build()
        place.settle()
        return place

    yield make
    for place in places:
        place.clear()


EVERY_WAY = [(way, user) for user in (0, USER) for way in (*WAYS_OUT, *WITHOUT_A_CONTROL)]
EVERY_WAY += [(way, 0) for way in ONLY_ROOT]
SCRIPTS = {**WAYS_OUT, **ONLY_ROOT, **WITHOUT_A_CONTROL}


@pytest.mark.parametrize("user", USERS)
def test_no_way_leads_out(new_place: NewPlace, user: int) -> None:
    place, led_out = new_place(user), {}
    before = place.state()
    for way in (way for way, who in EVERY_WAY if who == user):
        done = place.run(SCRIPTS[way])
        after = place.state()
        if after != before or done.returncode == 0:
            changed = [name for name in {**before, **after} if before.get(name) != after.get(name)]
            led_out[way] = (done.returncode, changed, done.stderr)
    assert led_out == {"a file in /tmp": (0, [], ""), "shared memory": (0, [], "")}  # of its own
    still_intact(place.workspace)


@pytest.mark.parametrize(
    ("way", "user"), [(way, user) for way, user in EVERY_WAY if way not in WITHOUT_A_CONTROL]
)
def test_without_a_wall_each_of_these_ways_leads_out(new_place: NewPlace, way: str, user: int) -> None:
    place = new_place(user)
    before = place.state()
    done = place.run(SCRIPTS[way], role=None)
    assert place.state() != before or way in LEAVE_NO_TRACE, done.stderr
    assert done.returncode == 0, done.stderr


READS = ("git status", "git diff HEAD~1", "git log -3", "git show", "git blame README", "git stash list")


@pytest.mark.parametrize("user", USERS)
def test_the_work_itself_is_done_as_ever(new_place: NewPlace, user: int) -> None:
    place = new_place(user)
    steps = (
        "echo one > one.txt && git add -A && git commit -q -m One",
        "echo more >> one.txt && git commit -q -a --amend -m First",
        "echo two > two.txt && git add -A && git commit -q -m Two && git rebase -q --force-rebase HEAD~1",
        "git reset -q --soft HEAD~1 && git commit -q -m Second",
        "git branch kitty/mission-m-kept && git diff --quiet",
        "echo done > $R/plans/m/status.json",
        "echo key > $HOME/.claude/.credentials.json && mkdir -p $HOME/.claude/projects/p",
        "echo note > $TMPDIR/note && grep -q note /tmp/note && [ $TMPDIR = /tmp ]",
        "test ! -e $HOME/.ssh/id_rsa && test ! -s $HOME/.netrc && test -r $HOME/.gitconfig",
        *READS,
    )
    for step in steps:
        done = place.run(step)
        assert done.returncode == 0, (step, done.stderr)
    assert place.git("log", "--format=%s", "kitty/mission-m-lane") == "Second\nFirst\nStart"
    assert place.git("status", "--porcelain", cwd=place.workspace.path) == ""
    assert (place.repo / "plans" / "m" / "status.json").read_text() == "done\n"
    assert (place.home / ".claude" / ".credentials.json").exists()
    assert not Path("/tmp/note").exists()


@pytest.mark.parametrize("user", USERS)
def test_it_is_done_where_git_has_packed_its_refs_and_main_stays(new_place: NewPlace, user: int) -> None:
    """Git removes the folder of the lane's branch then, and would make it anew in one that is read-only."""
    place = new_place(user)
    place.git("pack-refs", "--all")
    assert not (place.workspace.common_git_dir / "refs" / "heads" / "kitty").exists()
    assert place.run("git commit -q --allow-empty -m One").returncode == 0
    assert place.run("git update-ref refs/heads/main HEAD").returncode != 0
    assert place.git("log", "--format=%s", "kitty/mission-m-lane") == "One\nStart"
    assert place.git("log", "--format=%s", "main") == "Start"


@pytest.mark.parametrize("user", USERS)
def test_a_reviewer_reads_everything_and_writes_nothing(new_place: NewPlace, user: int) -> None:
    place = new_place(user)
    place.run("echo one > one.txt && git add -A && git commit -q -m One && touch -d 2001-01-01 one.txt")
    files = {path: _content(path) for path in place.folder.rglob("*") if path.is_file()}
    for step in (*READS, "echo note > /tmp/note", "echo one > $HOME/.claude/session"):
        done = place.run(step, Role.REVIEW)
        assert done.returncode == 0, (step, done.stderr)
    for step in (
        "echo evil > one.txt",
        "echo evil > new.txt",
        "git commit -q --allow-empty -m Evil",
        "git add -A -f . && git rm -q one.txt",
        "git diff --output=leak HEAD~1",
        "echo evil > $R/plans/m/status.json",
        "echo evil > $D/HEAD",
        "git update-ref refs/heads/kitty/mission-m-lane HEAD~1",
    ):
        assert place.run(step, Role.REVIEW).returncode != 0, step
    after = {path: _content(path) for path in place.folder.rglob("*") if path.is_file()}
    after.pop(place.home / ".claude" / "session")
    assert {**after, **files} == after
    assert set(after) - set(files) <= {place.folder / "attempt" / "empty"}


def test_what_a_person_opens_is_open_and_what_they_hide_is_not(new_place: NewPlace) -> None:
    place = new_place(USER)
    (place.home / "cache").mkdir()
    (place.home / "notes").write_text(SECRET)
    opened = {"writable": ("~/cache",), "hidden": ("~/notes", "~/nowhere")}
    assert place.run("echo x > $HOME/cache/x", **opened).returncode == 0
    assert place.run("grep -q secret $HOME/notes", **opened).returncode != 0
    assert place.run("grep -q secret $HOME/.ssh/id_rsa", **opened).returncode == 0
    assert place.run("echo x > $HOME/cache/x").returncode != 0


async def test_the_canaries_die_and_one_lives(new_place: NewPlace) -> None:
    place = new_place(0)
    agent, walls = place.occupant().agent, Walls(SandboxSettings(Wall.BWRAP), place.repo)
    trial = await try_wall(walls, agent, place.env)
    assert trial.holds, trial


@pytest.mark.parametrize(
    ("program", "broken", "trouble"),
    [
        (
            'while [ "$1" != -- ]; do [ "$1" = --chdir ] && cd "$2"; shift; done; shift; exec "$@"',
            ("wrote outside of it", "read what is hidden", "saw other processes"),
            "",
        ),
        ("echo 'bwrap: setting up uid map: Permission denied' >&2; exit 1", (), "setting up uid map"),
        ('exec "$REAL" --ro-bind /nowhere /nowhere "$@"', (), "bwrap: Can't find source path /nowhere"),
    ],
    ids=["a wall that is none", "one that the kernel refuses", "one that fails"],
)
async def test_a_wall_that_does_not_hold_is_found_out(
    new_place: NewPlace, tmp_path: Path, program: str, broken: tuple[str, ...], trouble: str
) -> None:
    place = new_place(0)
    (tmp_path / "bwrap").write_text(f"#!/bin/sh\n{program}\n")
    (tmp_path / "bwrap").chmod(0o755)
    real = shutil.which("bwrap") or ""
    env = {**place.env, "REAL": real, "PATH": f"{tmp_path}:{place.env['PATH']}"}
    walls = Walls(SandboxSettings(Wall.BWRAP), place.repo)
    trial = await try_wall(walls, place.occupant().agent, env)
    assert not trial.holds
    assert set(broken) <= set(trial.broken)
    assert trouble in trial.trouble
    assert "sandbox: bwrap" in trial.problem.message
    assert trial.problem.remedy


# The same with srt, as far as it is another program that holds it.

NEEDS_SRT = pytest.mark.skipif(
    any(shutil.which(program, path=f"{SRT}:{os.environ['PATH']}") is None for program in PROGRAMS[Wall.SRT]),
    reason="srt is not here: apt-get install socat ripgrep; python tests/e2e/real_agents/install.py srt",
)
TRIED_ON_SRT = (
    *(
        "a hook",
        "the repository's config",
        "where the config is",
        "a config of the worktree's",
        "the file .git",
    ),
    *("the branch main", "a new file in the main tree", "the shell's start", "a private key", "passwords"),
    *("the CLI's own settings", "another process", "a socket in /run or /tmp", "everything mounted anew"),
)


@NEEDS_SRT
def test_no_way_leads_a_user_out_of_srt(new_place: NewPlace) -> None:
    place, led_out = new_place(USER), {}
    before = place.state()
    for way in TRIED_ON_SRT:
        done = place.run(SCRIPTS[way], use=Wall.SRT)
        if place.state() != before or done.returncode == 0:
            led_out[way] = (done.returncode, done.stderr)
    assert led_out == {}
    still_intact(place.workspace)
    assert place.run("git commit -q --allow-empty -m One && git add -A", use=Wall.SRT).returncode == 0
    assert place.git("log", "--format=%s", "kitty/mission-m-lane") == "One\nStart"
    assert place.run("echo evil > new.txt", Role.REVIEW, Wall.SRT).returncode != 0


@NEEDS_SRT
async def test_srt_does_not_hold_root_and_is_refused(new_place: NewPlace) -> None:
    place = new_place(0)
    walls = Walls(SandboxSettings(Wall.SRT), place.repo)
    trial = await try_wall(walls, place.occupant(use=Wall.SRT).agent, place.env)
    assert trial.broken == ("may set what the kernel runs",)
    assert "run as another user than root" in trial.problem.remedy


@NEEDS_SRT
def test_srt_lets_through_to_whom_is_allowed_and_to_nobody_else(new_place: NewPlace) -> None:
    place, handler = new_place(USER), http.server.BaseHTTPRequestHandler
    handlers = [type("Handler", (handler,), {"do_GET": _answer, "log_message": _say_nothing}) for _ in "12"]
    servers = [http.server.ThreadingHTTPServer(("127.0.0.1", 0), each) for each in handlers]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    allowed, other = (f"127.0.0.1:{server.server_address[1]}" for server in servers)
    ask = (
        "python3 -c 'import sys, urllib.request as r; print(r.urlopen(sys.argv[1]).read().decode())' http://"
    )
    direct = "python3 -c 'import socket, sys; socket.create_connection((\"127.0.0.1\", int(sys.argv[1])))' "
    domains = {"use": Wall.SRT, "allowed_domains": (allowed,)}
    assert place.run(ask + allowed, **domains).stdout == "an answer\n"
    assert place.run(ask + other, **domains).returncode != 0
    assert place.run(direct + allowed.partition(":")[2], **domains).returncode != 0
    assert place.run(ask + other, None).stdout == "an answer\n"
    for server in servers:
        server.shutdown()
        server.server_close()


def _answer(handler: http.server.BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    handler.wfile.write(b"an answer")


def _say_nothing(*_: object) -> None:
    """In place of a line on stderr for each request."""


# How it ends.

ENDED = ("obey", "ignore", "grandchild", "nameless_grandchild", "stopped_grandchild", "fork_loop", "run_away")


@pytest.fixture
def walled_arena(arena: Any) -> Any:
    """The arena, with a wall around each agent."""

    def behind_a_wall(one: Launch) -> Launch:
        folder = arena.folder / f"{arena.count}.walls"
        folder.mkdir()
        for name in ("work", "git", "plan/tasks"):
            (folder / name).mkdir(parents=True)
        work = folder / "work"
        workspace = Workspace(
            work, folder / "git", folder / "git", "kitty/x", "", folder / "plan/tasks/WP.md"
        )
        (work / ".git").write_text("")
        agent = Agent(get_agent("claude-code"), Path(sys.executable), AgentSettings(sandbox=Wall.BWRAP))
        env = {**one.command.env, "HOME": str(folder)}
        walls = Walls(SandboxSettings(Wall.BWRAP), Path(__file__).parents[2])
        walled = walls.around(Occupant(agent, Role.IMPLEMENTATION, workspace, folder, env), one.command.argv)
        for path, text in walled.files.items():
            path.write_text(text)
        return evolve(one, command=evolve(one.command, argv=walled.argv, cwd=walled.cwd, env=env))

    arena.arrange = behind_a_wall
    return arena


@pytest.mark.parametrize("mode", ENDED)
async def test_nothing_is_left_of_an_agent_that_is_ended_behind_its_wall(
    walled_arena: Any, new_sink: Any, mode: str
) -> None:
    assert await put_through(walled_arena, mode, new_sink) == {}


FINISHES = 'trap "echo finished > $W/finished; exit 7" TERM; echo ready; while :; do sleep 0.05; done'


@pytest.mark.parametrize("user", USERS)
async def test_an_agent_behind_its_wall_has_its_grace(new_place: NewPlace, user: int) -> None:
    """A keeper signals whatever is below it: bwrap would obey at once, and take the agent with it."""
    place = new_place(user)
    async with open_keeper(place.command(FINISHES)) as keeper:
        with trio.fail_after(PATIENCE):
            assert await keeper.stdout.receive_some() == b"ready\n"
            keeper.stop()
            ending = await keeper.wait()
    assert (ending.returncode, ending.signal, ending.left) == (7, None, ())
    assert (place.workspace.path / "finished").read_text() == "finished\n"


async def test_nothing_is_left_after_success(walled_arena: Any, new_sink: Any) -> None:
    for mode in ("grandchild", "server"):
        ending = await walled_arena.launch(mode, "exit").run(new_sink())
        assert walled_arena.left() == []
        assert (ending.returncode, ending.ended_by) == (0, EndedBy.EXITED)

"""The fake host as a program: `spec-kitty` with real git and a state file, fast enough to be called often.

Run as `python -S -E -s program.py ARGV...` (see `install_fake_host`), standard library only. Beside the
contract it knows what a project is made with: `init`, `orchestrator-api specify` and `tasks`, and the
agents' `agent tasks mark-status`. Its state lies in the repository's own `.git` folder, so that the tree
holds nothing of it. SPEC_KITTY_FAKE_NOISE is printed before each reply.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

if not __package__:  # run as a file: make the folder that it lies in the package
    sys.path.append(str(Path(__file__).resolve().parent.parent))
    __package__ = Path(__file__).resolve().parent.name

from .command_line import Said, reply, respond
from .host import FakeHost, mission_record, new_work_package
from .rules import Refused, parse_options
from .workspaces import GitWorkspaces

NOISE = "SPEC_KITTY_FAKE_NOISE"
IGNORED = ".kittify/logs/\n.worktrees/\n"
PLANNING = {
    "specify": {"--mission": True, "--mission-type": True, "--topology": False, "--policy": False},
    "tasks": {"--mission": True, "--policy": False},
}


def find_root(start: Path) -> Path | None:
    """The primary checkout of the repository that `start` lies in, also from inside a worktree."""
    for folder in (start, *start.parents):
        marker = folder / ".git"
        if marker.is_dir():
            return folder
        if marker.is_file():
            git_dir = Path(marker.read_text().partition("gitdir:")[2].strip())
            return git_dir.parent.parent.parent
    return None


@contextlib.contextmanager
def opened(root: Path) -> Iterator[FakeHost]:
    """The host with the repository's state, saved on leaving; one process at a time."""
    folder = root / ".git" / "fake-host"
    folder.mkdir(exist_ok=True)
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        state = folder / "missions.json"
        noise = os.environ.get(NOISE, "").splitlines()
        host = FakeHost((), GitWorkspaces(root), noise=noise)
        before = state.read_text() if state.exists() else "{}"
        host.missions = json.loads(before)
        yield host
        after = json.dumps(host.missions)
        if after != before:
            draft = folder / "missions.new"
            draft.write_text(after)
            draft.replace(state)


def call(argv: list[str], cwd: Path) -> Said:
    """What the program prints for these arguments in this folder."""
    root = find_root(cwd)
    if argv[:1] == ["init"]:
        return _init(cwd)
    if root is None:
        # Measured: outside a repository the host finds no mission, whatever it is asked about one.
        return respond(FakeHost((), GitWorkspaces(cwd)), argv)
    with opened(root) as host:
        if argv[:1] == ["orchestrator-api"] and argv[1:2] and argv[1] in PLANNING:
            return _plan(host, argv[1], argv[2:])
        return respond(host, argv)


def _init(root: Path) -> Said:
    (root / ".kittify").mkdir(exist_ok=True)
    (root / ".kittify" / "config.yaml").write_text("agents:\n  available:\n  - claude\n")
    with open(root / ".gitignore", "a") as ignored:
        ignored.write(IGNORED)
    return Said(0, b"Initialized.\n", b"")


def _plan(host: FakeHost, command: str, argv: list[str]) -> Said:
    try:
        options = parse_options(argv, PLANNING[command], ())
        data = (_specify if command == "specify" else _finalize)(host, options)
    except Refused as refused:
        return reply(command, refused.data, [], refused)
    return reply(command, data, [], None)


def _specify(host: FakeHost, options: dict[str, str]) -> dict[str, Any]:
    slug = f"{options['--mission']}-{os.urandom(4).hex().upper()}"
    folder = host.workspaces.root / "kitty-specs" / slug
    folder.mkdir(parents=True)
    (folder / "meta.json").write_text(
        json.dumps({"slug": slug, "topology": options.get("--topology", "coord")})
    )
    return {"mission_slug": slug, "mission_number": None, "mission_type": options["--mission-type"]} | {
        "feature_dir": str(folder)
    }


def _finalize(host: FakeHost, options: dict[str, str]) -> dict[str, Any]:
    slug = options["--mission"]
    folder = host.workspaces.root / "kitty-specs" / slug
    if not folder.is_dir():
        raise Refused("MISSION_NOT_FOUND", f"Mission '{slug}' not found in kitty-specs/")
    fronts = [_front_matter(path) for path in sorted((folder / "tasks").glob("WP*.md"))]
    wps = {
        front["work_package_id"]: new_work_package(number, front["dependencies"], front["subtasks"])
        for number, front in enumerate(fronts)
    }
    topology = json.loads((folder / "meta.json").read_text())["topology"]
    host.missions[slug] = mission_record(slug, wps, topology)
    return {"mission_slug": slug, "mission_number": None, "mission_type": "software-dev", "finalized": True}


def _front_matter(path: Path) -> dict[str, Any]:
    """`name: value` lines; a value that is JSON is read as that (a YAML list in brackets of strings is)."""
    front: dict[str, Any] = {}
    for line in path.read_text().split("---")[1].splitlines():
        name, colon, value = line.partition(":")
        if colon:
            try:
                front[name.strip()] = json.loads(value)
            except ValueError:
                front[name.strip()] = value.strip()
    return front


def install_fake_host(folder: Path) -> Path:
    """Writes an executable `spec-kitty` into a folder, and returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "spec-kitty"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S -E -s "{Path(__file__).resolve()}" "$@"\n')
    program.chmod(0o755)
    return program


def main() -> None:
    said = call(sys.argv[1:], Path.cwd())
    for stream, text in ((sys.stderr, said.stderr), (sys.stdout, said.stdout)):
        stream.buffer.write(text)
        stream.flush()
    os._exit(said.returncode)  # tearing the interpreter down would cost a third of the time again


if __name__ == "__main__":
    main()

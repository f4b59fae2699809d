"""What is open to an agent, by its record, role, variables and the settings; and the two command lines."""

from __future__ import annotations

import errno
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from spec_kitty_orchestrator.agents import all_agent_ids, get_agent
from spec_kitty_orchestrator.agents.agent import Agent
from spec_kitty_orchestrator.agents.custom import CustomAgent, as_spec
from spec_kitty_orchestrator.agents.enforced import enforced_modes
from spec_kitty_orchestrator.agents.spec import AgentSettings, Role, Wall
from spec_kitty_orchestrator.agents.transcript import Transcript
from spec_kitty_orchestrator.errors import UsageError
from spec_kitty_orchestrator.host.workspace import Workspace
from spec_kitty_orchestrator.processes.ending import EndedBy, Ending
from spec_kitty_orchestrator.processes.starting import CommandNotStarted
from spec_kitty_orchestrator.settings.values import SandboxSettings
from spec_kitty_orchestrator.walls import enclosure as walls_enclosure
from spec_kitty_orchestrator.walls.around import Walls, not_put_up
from spec_kitty_orchestrator.walls.bwrap import bwrap_prefix
from spec_kitty_orchestrator.walls.enclosure import Enclosure, Occupant, enclose, unusable
from spec_kitty_orchestrator.walls.srt import srt_prefix, srt_settings
from spec_kitty_orchestrator.walls.trial import check_walls

BUILD, REVIEW = Role.IMPLEMENTATION, Role.REVIEW
MADE = ("project/.worktrees/lane", "project/plans/m/tasks", "home/.ssh", "attempt", "bin")
IN_GIT = ("objects", "refs/heads/kitty", "logs/refs/heads/kitty", "spec-kitty-locks", "worktrees/lane")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project with a lane, and a home folder; of the private folders one that holds none of them."""
    monkeypatch.setattr(walls_enclosure, "PRIVATE", (tmp_path / "private",))
    monkeypatch.setattr(walls_enclosure, "RESOLVER", tmp_path / "resolv.conf")
    git = tmp_path / "project" / ".git"
    for folder in (*(tmp_path / each for each in MADE), *(git / each for each in IN_GIT)):
        folder.mkdir(parents=True, exist_ok=True)
    for name in ("commondir", "gitdir"):
        (git / "worktrees" / "lane" / name).touch()
    (tmp_path / "project/.worktrees/lane/.git").touch()
    (tmp_path / "bin" / "claude").touch()
    return tmp_path


def occupant(place: Path, agent_id: str = "claude-code", role: Role = BUILD, **env: str) -> Occupant:
    git = place / "project" / ".git"
    workspace = Workspace(
        path=place / "project" / ".worktrees" / "lane",
        git_dir=git / "worktrees" / "lane",
        common_git_dir=git,
        branch="kitty/mission-m-lane",
        base="main",
        prompt_file=place / "project" / "plans" / "m" / "tasks" / "WP01.md",
    )
    agent = Agent(get_agent(agent_id), place / "bin" / "claude")
    everything = {"HOME": str(place / "home"), "PATH": str(place / "bin"), **env}
    return Occupant(agent, role, workspace, place / "attempt", everything)


def enclosed(inside: Occupant, place: Path, **settings: tuple[str, ...]) -> Enclosure:
    return enclose(inside, SandboxSettings(Wall.BWRAP, **settings), place / "project")


def names(place: Path, paths: tuple[Path, ...]) -> set[str]:
    return {str(path.relative_to(place)) for path in paths}


def test_an_implementer_may_write_to_what_its_work_takes_and_to_nothing_else(place: Path) -> None:
    (place / "home" / ".claude").mkdir()
    (place / "home" / ".claude" / "settings.json").touch()
    found = enclosed(occupant(place), place)
    git = {f"project/.git/{name}" for name in IN_GIT}
    work = {"home/.claude", "project/.worktrees/lane", "project/plans/m", *git}
    assert names(place, found.writable) == work
    own = {"project/.worktrees/lane/.git"} | {
        f"project/.git/worktrees/lane/{n}" for n in ("commondir", "gitdir")
    }
    assert names(place, found.kept) == {"home/.claude/settings.json", *own}
    assert names(place, found.barred) == {"project/.git/worktrees/lane/config.worktree"}
    assert names(place, found.hidden_folders) == {"home/.ssh"}


def test_a_reviewer_may_write_to_its_own_state_alone(place: Path) -> None:
    (place / "home" / ".claude").mkdir()
    found = enclosed(occupant(place, role=REVIEW), place, writable=("~/.ssh",))
    assert names(place, found.writable) == {"home/.claude"}
    assert found.kept == found.barred == ()


@pytest.mark.parametrize(
    ("agent_id", "variables", "folder"),
    [
        ("claude-code", {"CLAUDE_CONFIG_DIR": "elsewhere"}, "elsewhere"),
        ("codex", {"CODEX_HOME": "elsewhere"}, "elsewhere"),
        ("codex", {}, "home/.codex"),
        ("gemini", {}, "home/.gemini"),
        ("qwen", {}, "home/.qwen"),
        ("pi", {}, "home/.pi/agent"),
        ("opencode", {"XDG_DATA_HOME": "data"}, "data/opencode"),
        ("opencode", {}, "home/.local/share/opencode"),
    ],
)
def test_a_cli_keeps_its_own_where_its_variables_say(
    place: Path, agent_id: str, variables: dict[str, str], folder: str
) -> None:
    inside = occupant(place, agent_id, **{name: str(place / to) for name, to in variables.items()})
    (place / folder).mkdir(parents=True)
    assert folder in names(place, enclosed(inside, place).writable)


@pytest.mark.parametrize("role", Role)
def test_a_users_own_agent_keeps_its_own_where_the_settings_say(place: Path, role: Role) -> None:
    (place / "home" / ".mine").mkdir()
    mine = as_spec("mine", CustomAgent({BUILD: ("mine",)}, state=("~/.mine", str(place / "bin"))))
    inside = occupant(place, role=role)
    inside = evolve(inside, agent=evolve(inside.agent, spec=mine))
    assert {"home/.mine", "bin"} <= names(place, enclosed(inside, place).writable)


def test_what_starts_servers_of_claudes_stays_as_it_is_wherever_it_lies(place: Path) -> None:
    (place / "own").mkdir()
    (place / "own" / ".claude.json").touch()
    found = enclosed(occupant(place, CLAUDE_CONFIG_DIR=str(place / "own")), place)
    assert "own/.claude.json" in names(place, found.kept)


def test_every_agent_of_the_catalogue_says_where_it_keeps_its_own() -> None:
    assert [agent_id for agent_id in all_agent_ids() if not get_agent(agent_id).home.places] == []


def test_what_lies_in_a_private_folder_and_is_needed_is_shown(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walls_enclosure, "PRIVATE", (place,))
    (place / "stub").touch()
    (place / "resolv.conf").symlink_to(place / "stub")
    found = enclosed(occupant(place), place)
    assert names(place, found.shown) == {"bin", "home", "project", "stub"}


def test_of_where_sockets_lie_only_a_program_is_shown(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as /run/user/1000, where fnm puts what is on PATH: beside the session bus."""
    monkeypatch.setattr(walls_enclosure, "PRIVATE", (place,))
    monkeypatch.setattr(walls_enclosure, "SOCKETS", place)
    (place / "user" / "1000" / "fnm").mkdir(parents=True)
    found = enclosed(occupant(place, PATH=str(place / "user" / "1000" / "fnm")), place)
    assert names(place, found.shown) == {"bin/claude", "home", "project", "user/1000/fnm"}


def test_a_home_folder_that_is_a_link_into_a_private_folder_is_shown(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walls_enclosure, "PRIVATE", (place / "private",))
    (place / "private" / "me").mkdir(parents=True)
    (place / "me").symlink_to(place / "private" / "me")
    assert names(place, enclosed(occupant(place, HOME=str(place / "me")), place).shown) == {"private/me"}


def test_what_may_not_even_be_looked_at_is_no_trouble(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`Path.exists` raises PermissionError there; `os.path.exists` says no."""
    look = os.stat

    def refuse(path: str | Path, *args: Any, **rest: Any) -> os.stat_result:
        if isinstance(path, (str, Path)) and "secret" in str(path):
            raise PermissionError(errno.EACCES, "no", str(path))
        return look(path, *args, **rest)

    monkeypatch.setattr(os, "stat", refuse)
    hidden = ("/secret/.ssh", "~/.ssh")
    assert names(place, enclosed(occupant(place), place, hidden=hidden).hidden_folders) == {"home/.ssh"}
    sandbox = SandboxSettings(Wall.BWRAP, ("/secret/cache",), hidden)
    assert [*unusable(occupant(place), sandbox, place / "project")] == [
        "sandbox.writable: /secret/cache is no folder here; make it, or take it out"
    ]


def test_a_place_that_a_variable_names_from_the_workspace_on(place: Path) -> None:
    inside = occupant(place, CLAUDE_CONFIG_DIR=".own")
    assert inside.places == [inside.workspace.path / ".own"]


@pytest.mark.parametrize(
    ("writable", "variables", "complaint"),
    [
        (("~/",), {}, "sandbox.writable: ~/ holds {}/home; name a folder in it"),
        (("{}/project",), {}, "sandbox.writable: {}/project holds {}/project; name a folder in it"),
        (("/",), {}, "sandbox.writable: / holds {}/project; name a folder in it"),
        (("{}/link",), {}, "sandbox.writable: {}/link holds {}/project; name a folder in it"),
        (
            ("{}/project/.git/refs",),
            {},
            "sandbox.writable: {}/project/.git/refs lies in {}/project/.git, of which an agent gets what it "
            "needs; name another folder",
        ),
        (
            ("{}/project/.worktrees",),
            {},
            "sandbox.writable: {}/project/.worktrees lies in {}/project/.worktrees, of which an agent gets "
            "what it needs; name another folder",
        ),
        (
            (),
            {"CLAUDE_CONFIG_DIR": "{}/home"},
            "claude-code keeps its own in {}/home, which holds {}/home; name a folder in it",
        ),
        (
            ("~/.cache",),
            {"CLAUDE_CONFIG_DIR": "{}/home/.cache/claude"},
            "sandbox.writable: ~/.cache holds {}/home/.cache/claude, where claude-code keeps its own; name "
            "other folders in it",
        ),
        (
            ("~/.cache", "~/.cache/pip"),
            {},
            "sandbox.writable: ~/.cache holds {}/home/.cache/pip, which is named, too; name other folders "
            "in it",
        ),
        (("~/.cache/pip", "~/.npm", "{}/project/build"), {}, None),
    ],
)
def test_nothing_is_opened_with_what_a_wall_protects_or_that_an_agent_could_exchange(
    place: Path, writable: tuple[str, ...], variables: dict[str, str], complaint: str | None
) -> None:
    for folder in ("home/.cache/pip", "home/.npm", "project/build"):
        (place / folder).mkdir(parents=True)
    (place / "link").symlink_to(place)
    at = str(place)
    inside = occupant(place, **{name: value.replace("{}", at) for name, value in variables.items()})
    sandbox = SandboxSettings(Wall.BWRAP, tuple(each.replace("{}", at) for each in writable), ())
    wrong = [*unusable(inside, sandbox, place / "project")]
    assert complaint.replace("{}", at) in wrong if complaint else wrong == []


def test_a_key_agent_elsewhere_than_in_a_private_folder_is_hidden(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = place / "keys"
    with socket.socket(socket.AF_UNIX) as listener:
        monkeypatch.chdir(place)  # a socket's whole path may be too long
        listener.bind("keys")
        found = enclosed(occupant(place, SSH_AUTH_SOCK=str(keys)), place)
    assert names(place, found.hidden_files) == {"keys"}


def test_a_link_in_place_of_a_setting_is_left_to_its_target(place: Path) -> None:
    (place / "home" / ".claude").mkdir()
    (place / "home" / ".claude" / "settings.json").symlink_to(place / "dotfiles")
    assert "settings.json" not in {path.name for path in enclosed(occupant(place), place).kept}


def test_paths_that_cannot_be_what_they_are_said_to_be(place: Path) -> None:
    sandbox = SandboxSettings(Wall.BWRAP, ("~/nowhere", "~/.ssh"), ("~/", "/nowhere", str(place / "bin")))
    assert [*unusable(occupant(place), sandbox, place / "project")] == [
        "sandbox.writable: ~/nowhere is no folder here; make it, or take it out",
        f"sandbox.hidden: ~/ holds {place}/home/.claude, which claude-code needs; take it out",
        f"sandbox.hidden: {place}/bin holds {place}/bin/claude, which claude-code needs; take it out",
    ]


SOME = Enclosure(
    workspace=Path("/w"),
    shown=(Path("/tmp/p"),),
    writable=(Path("/w"), Path("/g/objects")),
    kept=(Path("/w/.git"),),
    barred=(Path("/g/config.worktree"),),
    hidden_folders=(Path("/h/.ssh"),),
    hidden_files=(Path("/h/.netrc"),),
    folder=Path("/a"),
    domains=("a.b", "localhost:80"),
)


def test_the_command_line_of_bwrap() -> None:
    line = " ".join(bwrap_prefix("/usr/bin/bwrap", SOME))
    head, _, mounts = line.partition(" --ro-bind / / ")
    assert head == (
        '/bin/sh -c trap "" TERM INT HUP; exec "$@" sh /usr/bin/bwrap --unshare-user --cap-drop ALL '
        "--unshare-pid --unshare-ipc --die-with-parent --new-session"
    )
    assert mounts.startswith("--dev /dev --proc /proc --ro-bind-try /proc/sys /proc/sys ")
    assert mounts.endswith(
        "--tmpfs /tmp --tmpfs /run --ro-bind /tmp/p /tmp/p --bind /w /w --bind /g/objects /g/objects "
        "--ro-bind /w/.git /w/.git --ro-bind /a/empty /g/config.worktree "
        "--tmpfs /h/.ssh --remount-ro /h/.ssh --ro-bind /a/empty /h/.netrc "
        "--unsetenv XDG_RUNTIME_DIR --unsetenv DBUS_SESSION_BUS_ADDRESS --unsetenv SSH_AUTH_SOCK "
        "--setenv TMPDIR /tmp --chdir /w -- env --default-signal=TERM,INT,HUP"
    )


def test_the_command_line_and_the_settings_of_srt() -> None:
    assert srt_prefix("/n/srt", SOME) == (
        *("/n/srt", "-s", "/a/srt.json", "--", "/bin/sh", "-c", 'cd "$1" && shift && exec "$@"', "sh", "/w"),
        *("env", "-u", "NO_PROXY", "-u", "no_proxy", "NODE_USE_ENV_PROXY=1", "TMPDIR=/a/tmp"),
    )
    assert "NO_PROXY" not in srt_prefix("/n/srt", evolve(SOME, domains=("a.b",)))
    assert json.loads(srt_settings(SOME)) == {
        "network": {"allowedDomains": ["a.b", "localhost:80"], "deniedDomains": []},
        "filesystem": {
            "denyRead": ["/h/.ssh", "/h/.netrc"],
            "allowRead": [],
            "allowWrite": ["/w", "/g/objects", "/a/tmp"],
            "denyWrite": ["/w/.git", "/g/config.worktree"],
        },
    }


async def test_an_agent_that_would_do_nothing_there_is_not_put_behind_srt(place: Path) -> None:
    agent = Agent(get_agent("codex"), place / "bin" / "claude", AgentSettings(sandbox=Wall.SRT))
    with pytest.raises(UsageError, match="codex does nothing inside srt"):
        await check_walls(Walls(SandboxSettings(), place / "project"), {"codex": agent}, {"PATH": ""})


LIFTED = ("-c", "sandbox_mode=danger-full-access")


@pytest.mark.parametrize(
    ("agent_id", "use", "is_root", "extra", "wall"),
    [
        ("claude-code", Wall.BWRAP, True, (), Wall.BWRAP),
        ("claude-code", Wall.OFF, False, (), Wall.OFF),
        ("codex", Wall.BWRAP, True, (), Wall.OFF),
        ("codex", Wall.BWRAP, False, (), Wall.BWRAP),
        ("codex", Wall.BWRAP, True, LIFTED, Wall.BWRAP),
    ],
)
def test_codex_is_behind_its_own_wall_as_root_and_behind_ours_as_a_user(
    agent_id: str, use: Wall, is_root: bool, extra: tuple[str, ...], wall: Wall
) -> None:
    agent = Agent(get_agent(agent_id), Path("/bin/x"), AgentSettings(extra_args=extra, sandbox=use))
    assert Walls(SandboxSettings(use), is_root=is_root).of(agent) is wall


@pytest.mark.parametrize(
    ("agent_id", "wall", "role", "sandbox", "network"),
    [
        ("claude-code", Wall.OFF, BUILD, "none", "open"),
        ("claude-code", Wall.BWRAP, BUILD, "workspace_write", "open"),
        ("claude-code", Wall.BWRAP, REVIEW, "read_only", "open"),
        ("pi", Wall.SRT, BUILD, "workspace_write", "allowlist"),
        ("codex", Wall.BWRAP, REVIEW, "read_only", "open"),
        ("codex", Wall.OFF, BUILD, "workspace_write", "open"),
    ],
)
def test_the_policy_says_what_the_wall_enforces(
    agent_id: str, wall: Wall, role: Role, sandbox: str, network: str
) -> None:
    modes = enforced_modes(get_agent(agent_id), AgentSettings(sandbox=wall), role)
    assert (modes["sandbox_mode"], modes["network_mode"]) == (sandbox, network)


def test_a_wall_that_is_gone_is_no_fault_of_the_agents(place: Path) -> None:
    inside = occupant(place)
    inside = evolve(inside, agent=evolve(inside.agent, settings=AgentSettings(sandbox=Wall.BWRAP)))
    with pytest.raises(CommandNotStarted, match="bwrap needs bwrap, which is not on PATH"):
        Walls(SandboxSettings(Wall.BWRAP), place / "project").around(inside, ("claude",))


@pytest.mark.parametrize(
    ("code", "said", "complaint"),
    [
        (
            1,
            "noise\nbwrap: Can't find source path /x: No such file\n",
            "bwrap: Can't find source path /x: No such file",
        ),
        (1, "bwrap: mended\nTypeError: no\n", ""),
        (0, "bwrap: nothing", ""),
        (1, "", ""),
    ],
)
def test_what_bwrap_itself_complains_of_is_told_from_what_an_agent_says(
    code: int, said: str, complaint: str
) -> None:
    ending = Ending(code, None, EndedBy.EXITED, (), 0.1)
    assert not_put_up(ending, Transcript(stderr=said)) == complaint
    for more in (Transcript("text", stderr=said), Transcript(session_id="1", stderr=said)):
        assert not not_put_up(ending, more)  # an agent's own bwrap

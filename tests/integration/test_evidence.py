"""Evidence says of odd repositories what `git status` says, and runs nothing."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import trio
from tests.integration.odd_repositories import BRANCH, CLEAN, NOT_CLEAN, Rig, age, program, with_submodules

from spec_kitty_orchestrator.errors import WorkspaceError
from spec_kitty_orchestrator.mission import evidence
from spec_kitty_orchestrator.mission.evidence import GitRepository


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rig:
    user = tmp_path / "home"
    user.mkdir()
    (user / ".gitconfig").write_text(
        '[user]\n\tname = T\n\temail = t@example.invalid\n[protocol "file"]\n\tallow = always\n'
    )
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(user))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(user / "config"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    root = tmp_path / "project"
    return Rig(root, root / ".worktrees" / "m-lane-a", user)


@pytest.mark.parametrize(
    ("case", "is_clean"),
    [(case, True) for case in CLEAN] + [(case, False) for case in NOT_CLEAN],
    ids=[case.__name__ for case in (*CLEAN, *NOT_CLEAN)],
)
async def test_it_says_what_git_says(rig: Rig, case: Callable[[Rig], None], is_clean: bool) -> None:
    case(rig)
    before = await rig.look()
    assert not (rig.user / "ran").exists()
    assert (list(before.changed), list(before.untracked)) == rig.said_by_git()
    assert before.is_clean == (is_clean)
    rig.git("status")  # renews what the index knows
    assert await rig.look() == before


async def test_advanced_is_said_of_new_commits_alone(rig: Rig) -> None:
    rig.make()
    claimed = (await rig.look()).commit
    assert (await rig.look(), (await rig.look(claimed)).advanced) == (await rig.look(None), False)
    first = rig.commit()
    assert (await rig.look(claimed)).advanced
    assert not (await rig.look(first)).advanced
    rig.git("reset", "-q", "--hard", claimed)
    assert not (await rig.look(first)).advanced  # went back: nothing is new
    rig.git("commit", "-q", "--allow-empty", "--amend", "-m", "amended")
    assert (await rig.look(claimed)).advanced
    assert not (await rig.look("0" * 40)).advanced  # nobody knows that commit
    rig.git("reset", "-q", "--hard", first)
    rig.git("checkout", "-q", "-b", "side", claimed)
    rig.write("side", "x")
    side = rig.commit()
    rig.git("merge", "-q", "--no-edit", first)
    assert (await rig.look(first)).advanced
    assert (await rig.look(side)).advanced


async def test_where_head_stands(rig: Rig) -> None:
    rig.make()
    commit = rig.git("rev-parse", "HEAD").strip()
    assert ((await rig.look()).commit, (await rig.look()).branch) == (commit, BRANCH)
    rig.git("checkout", "-q", "-b", "else/where")
    assert (await rig.look()).branch == "else/where"
    rig.git("checkout", "-q", "--detach")
    assert ((await rig.look()).commit, (await rig.look()).branch) == (commit, "")
    rig.git("checkout", "-q", "--orphan", "unborn")
    assert ((await rig.look()).commit, (await rig.look()).branch) == ("", "unborn")


@pytest.mark.parametrize("init", [(), ("--object-format=sha256",)], ids=["sha1", "sha256"])
async def test_commits_are_found_by_any_name(rig: Rig, init: tuple[str, ...]) -> None:
    rig.make(*init)
    base = rig.git("rev-parse", "main").strip()
    work = rig.commit()
    rig.git("tag", "-am", "tagged", "v1", base)
    rig.git("update-ref", "refs/remotes/origin/main", base)
    rig.git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main")
    for packed in (False, True):
        if packed:
            rig.git("pack-refs", "--all")
        ask = GitRepository()
        for ref in ("main", "HEAD", "v1", "origin/main", "origin", "refs/heads/main", base, base[:12]):
            assert (ref, await ask.resolve(rig.root, ref)) == (ref, base)
        assert await ask.resolve(rig.root, BRANCH) == work
        tree = rig.git("rev-parse", "main^{tree}").strip()
        for ref in ("none", "main~1", "a b", "..", "", "0" * len(base), tree):
            assert (ref, await ask.resolve(rig.root, ref)) == (ref, None)
        assert await ask.is_in(rig.root, f"refs/heads/{BRANCH}", work)
        assert await ask.is_in(rig.root, f"refs/heads/{BRANCH}", base)
        assert not await ask.is_in(rig.root, "refs/heads/main", work)
        assert not await ask.is_in(rig.root, "refs/heads/none", base)
        assert not await ask.is_in(rig.root, "refs/heads/main", "0" * len(base))
        assert not await ask.is_in(rig.root, "refs/heads/main", tree)


def _on_another_branch(rig: Rig) -> tuple[str, ...]:
    rig.git("checkout", "-q", "-b", "aside")
    return ()


def _detached_beyond_it(rig: Rig) -> tuple[str, ...]:
    rig.git("checkout", "-q", "--detach")
    return (f"the commit {rig.commit()}, which is on no branch",)


def _detached_at_it(rig: Rig) -> tuple[str, ...]:
    rig.git("checkout", "-q", "--detach")
    return ()


def _by_a_relative_path(rig: Rig) -> tuple[str, ...]:
    (rig.git_dir / "gitdir").write_text("../../../.worktrees/m-lane-a/.git\n")
    return ()


def _beside_a_damaged_one(rig: Rig) -> tuple[str, ...]:
    rig.git("worktree", "add", "-q", str(rig.user / "mine"))
    (rig.root / ".git" / "worktrees" / "mine" / "HEAD").unlink()
    return ()


def _as_it_was(rig: Rig) -> tuple[str, ...]:
    return ()


@pytest.mark.parametrize(
    "change",
    [
        _as_it_was,
        _on_another_branch,
        _detached_beyond_it,
        _detached_at_it,
        _by_a_relative_path,
        _beside_a_damaged_one,
    ],
)
async def test_what_nobody_has_committed_in_a_lanes_worktree_is_found(
    rig: Rig, change: Callable[[Rig], tuple[str, ...]]
) -> None:
    rig.make()
    more = change(rig)
    assert await GitRepository().uncommitted(rig.root, BRANCH) == more
    rig.write("a.txt", "changed")
    rig.write("new.txt", "new")
    assert await GitRepository().uncommitted(rig.root, BRANCH) == ("a.txt", "new.txt", *more)
    assert await GitRepository().uncommitted(rig.root, "kitty/mission-m-lane-b") == ()


async def test_history_ends_where_a_shallow_clone_does(rig: Rig) -> None:
    rig.make()
    for _ in range(3):
        rig.commit()
    rig.git("clone", "-q", "--depth", "1", "-b", BRANCH, rig.root.as_uri(), str(rig.user / "shallow"))
    shallow = Rig(rig.user / "shallow", rig.user / "shallow" / ".worktrees" / "m-lane-a", rig.user)
    shallow.git("branch", "-m", "main", cwd=shallow.root)
    shallow.link()
    claimed = (await shallow.look()).commit
    assert not (await shallow.look(claimed)).advanced
    work = shallow.commit()
    assert (await shallow.look(claimed)).advanced
    assert not await GitRepository().is_in(shallow.root, "refs/heads/main", work)
    assert not await GitRepository().is_in(shallow.root, "refs/heads/main", "0" * 40)


async def test_nothing_of_an_agents_making_is_run(rig: Rig) -> None:
    """Filters, monitors and hooks of the config: a file that such a filter prepares is in doubt."""
    rig.make(files={".gitattributes": "* filter=evil diff=evil\n", "a.txt": "a\n", "b.txt": "b\n"})
    ran = rig.user / "ran"
    evil = program(
        rig.user / "evil", f"import sys\nopen({str(ran)!r}, 'a')\nprint(sys.stdin.read(), end='')\n"
    )
    for key in (
        "filter.evil.clean",
        "filter.evil.process",
        "core.fsmonitor",
        "diff.evil.textconv",
        "core.pager",
    ):
        rig.git("config", key, evil)
    rig.git("config", "core.hooksPath", str(rig.user))
    rig.write("a.txt", "x\n")
    age(rig.work / "b.txt")
    assert (await rig.look()).changed == ("a.txt",)
    assert not ran.exists()


async def test_what_could_hold_it_up_for_ever_does_not(rig: Rig) -> None:
    rig.make()
    for name in (".gitignore", ".gitattributes", "docs/.gitignore", "docs/.gitattributes", ".gitmodules"):
        os.mkfifo(rig.work / name)
    rig.write("src/.gitignore", "*a" * 60 + "b\n" + "**/a/" * 30 + "b\n")
    rig.write("src/" + "a" * 200, "x")
    rig.write("src/" + "a/" * 100 + "x", "x")
    age(rig.work / "a.txt")
    rig.write("new/.git", "gitdir: new\n")
    os.mkfifo(rig.work / "new" / "pipe")
    with trio.fail_after(300):
        assert (await rig.look()).untracked == ("src/.gitignore", "src/a/", "src/" + "a" * 200)


def _cut_index(rig: Rig) -> None:
    path = rig.git_dir / "index"
    path.write_bytes(path.read_bytes()[:100])


def _no_index(rig: Rig) -> None:
    (rig.git_dir / "index").write_bytes(b"nonsense")


def _lost_objects(rig: Rig) -> None:
    shutil.rmtree(rig.root / ".git" / "objects")
    (rig.root / ".git" / "objects").mkdir()


def _wrong_config(rig: Rig) -> None:
    (rig.root / ".git" / "config").write_text("[core\n\trepositoryformatversion = 9\n")


def _later_format(rig: Rig) -> None:
    (rig.root / ".git" / "config").write_text("[core]\n\trepositoryformatversion = 9\n")


def _nonsense_object(rig: Rig) -> None:
    commit = rig.git("rev-parse", "HEAD").strip()
    path = rig.root / ".git" / "objects" / commit[:2] / commit[2:]
    path.chmod(0o644)
    path.write_bytes(b"nonsense")


@pytest.mark.parametrize(
    "damage", [_cut_index, _no_index, _lost_objects, _wrong_config, _later_format, _nonsense_object]
)
async def test_a_damaged_repository_is_one_clear_line(rig: Rig, damage: Callable[[Rig], None]) -> None:
    rig.make()
    damage(rig)
    with pytest.raises(WorkspaceError, match=f"^the repository of {rig.work} cannot be read: ") as caught:
        await rig.look()
    assert "\n" not in str(caught.value)
    assert "git fsck" in caught.value.remedy


async def test_a_workspace_that_was_tampered_with_is_not_read(rig: Rig) -> None:
    rig.make()
    (rig.git_dir / "commondir").write_text(str(rig.user))
    with pytest.raises(WorkspaceError, match="has been tampered with"):
        await rig.look()


def _marking(rig: Rig) -> str:
    return program(rig.user / "evil.py", f"open({str(rig.user / 'ran')!r}, 'a')\n")


def _own_monitor(rig: Rig, git_dir: Path) -> None:
    rig.git("config", "-f", str(git_dir / "config"), "core.fsmonitor", f"{_marking(rig)};true")


def _own_hook(rig: Rig, git_dir: Path) -> None:
    (git_dir / "hooks").mkdir(exist_ok=True)
    shutil.copy(_marking(rig), git_dir / "hooks" / "post-index-change")


def _config_elsewhere(rig: Rig, git_dir: Path) -> None:
    evil = rig.user / "evil"
    shutil.copytree(git_dir, evil)
    _own_monitor(rig, evil)
    (git_dir / "commondir").write_text(f"{evil}\n")


def _git_dir_elsewhere(rig: Rig, git_dir: Path) -> None:
    """In a folder of the same name, but for a space at its end."""
    evil = git_dir.with_name(f"{git_dir.name} ")
    shutil.copytree(git_dir, evil)
    _own_monitor(rig, evil)
    (rig.work / "lib" / ".git").write_text(f"gitdir: {evil}\n")


def _git_dir_by_a_link(rig: Rig, git_dir: Path) -> None:
    _own_monitor(rig, git_dir)
    (rig.work / "lib" / ".git").unlink()
    (rig.work / "lib" / ".git").symlink_to(git_dir)


def _a_submodule_in_it(rig: Rig, git_dir: Path) -> None:
    other = rig.user / "other"
    rig.git("submodule", "add", "-q", str(other), "inner", cwd=rig.work / "lib")
    _own_monitor(rig, git_dir / "modules" / "inner")


@pytest.mark.parametrize(
    "plant",
    [
        *(_own_monitor, _own_hook, _config_elsewhere),
        *(_git_dir_elsewhere, _git_dir_by_a_link, _a_submodule_in_it),
    ],
)
async def test_a_submodule_that_has_git_run_something_is_refused(
    rig: Rig, plant: Callable[[Rig, Path], None]
) -> None:
    """The host runs `git status` in the worktree, which runs one in each submodule that is checked out."""
    with_submodules(rig, "lib", "plain")
    age(rig.work / "lib" / "f.txt")
    await rig.look()
    plant(rig, rig.git_dir / "modules" / "lib")
    with pytest.raises(WorkspaceError, match=r"holds a submodule, lib[ /,].*git would obey"):
        await rig.look()
    assert not (rig.user / "ran").exists()
    rig.git("status")
    assert (rig.user / "ran").exists()


async def test_a_look_that_hangs_is_given_up(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.make()
    release = threading.Event()
    monkeypatch.setattr(evidence, "LOOK_SECONDS", 0.2)
    monkeypatch.setattr(evidence, "_look", lambda *_: release.wait(60))
    try:
        with pytest.raises(WorkspaceError, match=r"could not be read within 0.2 s"):
            await rig.look()
    finally:
        release.set()


async def test_a_cancelled_look_ends_at_once(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    monkeypatch.setattr(evidence, "_look", lambda *_: release.wait(120))
    try:
        with trio.fail_after(60), trio.move_on_after(0.1) as scope:
            await rig.look()
        assert scope.cancelled_caught
    finally:
        release.set()


async def test_one_at_a_time(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    busy = threading.Lock()

    def look(*_: object) -> str:
        assert busy.acquire(blocking=False)
        time.sleep(0.01)
        busy.release()
        return "seen"

    monkeypatch.setattr(evidence, "_look", look)
    ask = GitRepository()
    async with trio.open_nursery() as nursery:
        for _ in range(8):
            nursery.start_soon(ask.look, rig.workspace)

"""What nobody committed is moved out of the way, and nothing is lost."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from spec_kitty_orchestrator.host.workspace import Workspace
from spec_kitty_orchestrator.mission.leftovers import move_away


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    work = tmp_path / "work"
    (work / "sub" / "deep").mkdir(parents=True)
    (work / ".git").write_text("gitdir: x\n")
    (work / "tracked").write_text("tracked")
    (work / "new.txt").write_text("new")
    (work / "sub" / "deep" / "n").write_text("deep")
    return Workspace(work, tmp_path / "g", tmp_path / "c", "b", "main", tmp_path / "p")


@pytest.fixture(params=["one file system", "two file systems"])
def to(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    if request.param == "two file systems":

        def refuse(source: object, target: object) -> None:
            raise OSError(errno.EXDEV, "Invalid cross-device link", str(source))

        monkeypatch.setattr(os, "rename", refuse)
    return tmp_path / "log" / "left"


def test_files_and_folders_are_moved(workspace: Workspace, to: Path) -> None:
    assert move_away(workspace, ["new.txt", "sub/"], to) == ("new.txt", "sub/")
    assert (to / "new.txt").read_text() == "new"
    assert (to / "sub" / "deep" / "n").read_text() == "deep"
    assert sorted(os.listdir(workspace.path)) == [".git", "tracked"]


def test_what_lies_there_already_is_kept(workspace: Workspace, to: Path) -> None:
    for text in ("1", "2", "3"):
        (workspace.path / "new.txt").write_text(text)
        assert move_away(workspace, ["new.txt"], to) == ("new.txt",)
    assert [(to / name).read_text() for name in ("new.txt", "new.txt.2", "new.txt.3")] == ["1", "2", "3"]


def test_a_file_and_a_folder_of_one_name_are_both_kept(workspace: Workspace, to: Path) -> None:
    assert move_away(workspace, ["new.txt"], to)
    (workspace.path / "new.txt").mkdir()
    (workspace.path / "new.txt" / "inner").write_text("inner")
    assert move_away(workspace, ["new.txt/inner"], to) == ("new.txt/inner",)
    assert (to / "new.txt").read_text() == "new"
    assert (to / "new.txt.2" / "inner").read_text() == "inner"


def test_a_link_that_was_moved_is_not_followed_later(workspace: Workspace, to: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (workspace.path / "name").symlink_to(tmp_path / "outside")
    assert move_away(workspace, ["name"], to)
    (workspace.path / "name").mkdir()
    (workspace.path / "name" / "inner").write_text("inner")
    assert move_away(workspace, ["name/inner"], to)
    assert (to / "name.2" / "inner").read_text() == "inner"
    assert os.listdir(tmp_path / "outside") == []


def test_links_are_moved_and_never_followed(workspace: Workspace, to: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("p")
    (workspace.path / "link").symlink_to(outside)
    (workspace.path / "sub" / "inner").symlink_to(outside / "precious")
    assert move_away(workspace, ["link/precious"], to) == ()
    assert move_away(workspace, ["link", "sub/"], to) == ("link", "sub/")
    assert (to / "link").readlink() == outside
    assert (to / "sub" / "inner").readlink() == outside / "precious"
    assert (outside / "precious").read_text() == "p"


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../outside", "/etc/hosts", ".git", "sub/../tracked", "gone", ".git/x"]
)
def test_nothing_else_is_touched(workspace: Workspace, to: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "outside").write_text("o")
    assert move_away(workspace, [name], to) == ()
    assert not to.exists()
    assert (workspace.path / "tracked").exists()


def test_names_that_are_no_text_are_moved(workspace: Workspace, to: Path) -> None:
    name = os.fsdecode(b"\xff\n")
    (workspace.path / name).write_text("x")
    assert move_away(workspace, [name], to) == (name,)
    assert (to / name).read_text() == "x"

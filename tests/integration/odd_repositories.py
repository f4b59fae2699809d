"""Repositories that are odd in one way each, made by git, each with a work package's linked worktree."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

from attrs import frozen

from spec_kitty_orchestrator.host.workspace import Workspace
from spec_kitty_orchestrator.mission.evidence import Evidence, GitRepository
from spec_kitty_orchestrator.worktree.content import CHUNK

BRANCH = "kitty/mission-m-lane-a"
FILES = {
    "a.txt": "a\n",
    "b.txt": "b\n",
    "tool.sh": "#!/bin/sh\n",
    "src/one.py": "1\n",
    "src/deep/two.py": "2\n",
    "docs/read.md": "read\n",
}
LONG_AGO = 1_600_000_000


@frozen
class Rig:
    """A repository and its linked worktree, made by git."""

    root: Path
    work: Path
    user: Path

    def git(self, *args: str, cwd: Path | None = None) -> str:
        done = subprocess.run(
            ("git", *args), cwd=cwd or self.work, capture_output=True, text=True, errors="surrogateescape"
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def make(self, *init: str, files: dict[str, str] = FILES, **config: str) -> None:
        self.root.mkdir()
        self.git("init", "-q", "-b", "main", *init, cwd=self.root)
        for key, value in config.items():
            self.git("config", key.replace("__", "."), value, cwd=self.root)
        for name, text in files.items():
            self.write(name, text, self.root)
        self.commit(self.root)
        self.link()

    def link(self) -> None:
        self.git("worktree", "add", "-q", "-b", BRANCH, str(self.work), cwd=self.root)

    def write(self, name: str, text: str | bytes, folder: Path | None = None) -> Path:
        path = (folder or self.work) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    def commit(self, folder: Path | None = None, *args: str) -> str:
        self.git("add", "-A", cwd=folder)
        self.git("commit", "-q", "--allow-empty", "-m", "work", *args, cwd=folder)
        return self.git("rev-parse", "HEAD", cwd=folder).strip()

    @property
    def git_dir(self) -> Path:
        return self.root / ".git" / "worktrees" / self.work.name

    @property
    def workspace(self) -> Workspace:
        prompt = self.root / "planning" / "m" / "tasks" / "WP01.md"
        return Workspace(self.work, self.git_dir, self.root / ".git", BRANCH, "main", prompt)

    async def look(self, since: str | None = None) -> Evidence:
        return await GitRepository().look(self.workspace, since)

    def said_by_git(self) -> tuple[list[str], list[str]]:
        """What differs and what is new, by git's own words; its index is left as it is."""
        words = self.git("--no-optional-locks", "status", "--porcelain", "--no-renames", "-z").split("\0")[
            :-1
        ]
        new = [word[3:] for word in words if word.startswith("??")]
        return sorted(word[3:] for word in words if not word.startswith("??")), sorted(new)


def age(path: Path) -> None:
    """Makes git look into a file: what it remembers of its time is wrong now."""
    os.utime(path, (LONG_AGO, LONG_AGO), follow_symlinks=False)


def program(path: Path, text: str) -> str:
    path.write_text(f"#!{sys.executable}\n{text}")
    path.chmod(0o755)
    return str(path)


# Cases: each makes a repository. The table below says whether all is committed in it.


def nothing(rig: Rig) -> None:
    rig.make()


def modified(rig: Rig) -> None:
    rig.make()
    rig.write("a.txt", "other\n")
    rig.write("src/deep/two.py", "3\n")


def modified_to_the_same_size(rig: Rig) -> None:
    rig.make()
    rig.write("a.txt", "x\n")


def staged(rig: Rig) -> None:
    rig.make()
    rig.write("a.txt", "other\n")
    rig.write("new/n.txt", "n\n")
    rig.git("add", "-A")


def staged_and_undone_in_the_file(rig: Rig) -> None:
    rig.make()
    rig.write("a.txt", "other\n")
    rig.git("add", "-A")
    rig.write("a.txt", "a\n")


def deleted(rig: Rig) -> None:
    rig.make()
    (rig.work / "a.txt").unlink()
    shutil.rmtree(rig.work / "src")
    rig.git("rm", "-q", "b.txt")
    rig.git("rm", "-q", "--cached", "tool.sh")


def renamed(rig: Rig) -> None:
    rig.make()
    rig.git("mv", "a.txt", "z.txt")
    (rig.work / "b.txt").rename(rig.work / "y.txt")


def touched_only(rig: Rig) -> None:
    rig.make()
    for name in FILES:
        age(rig.work / name)


def emptied_and_always_empty(rig: Rig) -> None:
    rig.make(files={**FILES, "empty": "", "empty2": ""})
    rig.write("a.txt", "")
    rig.write("empty2", "x")
    age(rig.work / "empty")


def racy(rig: Rig) -> None:
    """Changed within the tick in which the index was written: what it remembers of the file fits still."""
    rig.make()
    path = rig.write("a.txt", "x\n")
    found, index = path.stat(), rig.git_dir / "index"
    data = bytearray(index.read_bytes()[:-20])
    struct.pack_into(">4I", data, 12, *divmod(found.st_ctime_ns, 10**9), *divmod(found.st_mtime_ns, 10**9))
    index.write_bytes(bytes(data) + hashlib.sha1(data).digest())
    os.utime(index, ns=(found.st_mtime_ns, found.st_mtime_ns))


def made_executable(rig: Rig) -> None:
    rig.make()
    (rig.work / "tool.sh").chmod(0o755)


def executable_without_modes(rig: Rig) -> None:
    rig.make(core__fileMode="false")
    (rig.work / "tool.sh").chmod(0o755)


def other_permissions(rig: Rig) -> None:
    rig.make()
    (rig.work / "tool.sh").chmod(0o600)


def links(rig: Rig) -> None:
    rig.make()
    for name in ("same", "moved", "to_file", "aged"):
        (rig.work / name).symlink_to("a.txt")
    rig.commit()
    (rig.work / "moved").unlink()
    (rig.work / "moved").symlink_to("b.txt")
    (rig.work / "to_file").unlink()
    rig.write("to_file", "a.txt")
    age(rig.work / "aged")
    (rig.work / "b.txt").unlink()
    (rig.work / "b.txt").symlink_to("a.txt")
    (rig.work / "new_link").symlink_to("/nowhere")
    (rig.work / "link_to_folder").symlink_to("docs")


def folder_becomes_link(rig: Rig) -> None:
    rig.make()
    (rig.work / "src").rename(rig.user / "src")
    (rig.work / "src").symlink_to(rig.user / "src")


def file_and_folder_change_places(rig: Rig) -> None:
    rig.make()
    (rig.work / "a.txt").unlink()
    rig.write("a.txt/inner", "x")
    shutil.rmtree(rig.work / "docs")
    rig.write("docs", "x")


def neither_file_nor_folder(rig: Rig) -> None:
    rig.make()
    os.mkfifo(rig.work / "pipe")
    (rig.work / "a.txt").unlink()
    os.mkfifo(rig.work / "a.txt")
    with socket.socket(socket.AF_UNIX) as server:
        here = os.getcwd()
        os.chdir(rig.work)
        server.bind("socket")
        os.chdir(here)


def empty_folders(rig: Rig) -> None:
    rig.make()
    (rig.work / "empty" / "deep").mkdir(parents=True)


def new_things(rig: Rig) -> None:
    rig.make()
    for name in ("n.txt", "src/n.py", "new/deep/n.txt", "new/m.txt", "src/more/deep/x"):
        rig.write(name, "n")


def odd_names(rig: Rig) -> None:
    rig.make()
    for name in (b"a b", b"new\nline", b"\xff\xfe", "ümläut".encode(), b'quo"te', b"tab\t", b"-x", b"a\\b"):
        with open(os.fsencode(rig.work) + b"/tracked " + name, "w") as file:
            file.write("x")
        with open(os.fsencode(rig.work) + b"/" + name, "w") as file:
            file.write("x")
        rig.git("add", os.fsdecode(b"tracked " + name))
    rig.git("commit", "-qm", "odd")
    for name in os.listdir(rig.work):
        if name.startswith("tracked "):
            rig.write(name, "yy")


def ignoring(rig: Rig) -> None:
    rig.make()
    rig.write(
        ".gitignore",
        "\ufeff# comment\n*.o\n/only_top\nbuild/\n!keep.o\n\\#odd\n\\!odd\ntrail   \nspace\\ \ndir/**\n"
        "**/any/where\na/**/z\nfoo/*\n!foo/bar\nw[a-c]x\nn[!a]n\n[[:digit:]]*\n?.q\nend.\r\nno/slash/\n[]]br\n"
        "*a*b*c\n[z-a]\nun[closed\nkept/**\n!kept/this\nback\\\\slash\n",
    )
    rig.write("src/.gitignore", "!*.o\n*.tmp\n/rooted\n")
    rig.write("src/deep/.gitignore", "*\n!.gitignore\n")
    exclude = rig.root / ".git" / "info" / "exclude"
    exclude.write_text("excluded\n!user_and_here\n")
    rig.write("git/ignore", "user_wide\nuser_and_here\n", rig.user / "config")
    rig.commit()
    for name in (
        "x.o",
        "keep.o",
        "only_top",
        "src/only_top",
        "build/x",
        "src/build",
        "#odd",
        "!odd",
        "trail",
        "trail   ",
        "space ",
        "space",
        "dir/x/y",
        "q/any/where/x",
        "any/where",
        "a/z",
        "a/b/z",
        "a/b/c/z/x",
        "foo/x",
        "foo/bar/y",
        "wax",
        "wdx",
        "nan",
        "nbn",
        "7up",
        "x.q",
        "xy.q",
        "end.",
        "no/slash/x",
        "x/no/slash",
        "]br",
        "src/y.o",
        "src/z.tmp",
        "src/rooted",
        "src/new/rooted",
        "src/deep/whatever",
        "excluded",
        "src/excluded",
        "user_wide",
        "user_and_here",
        "xaxbxc",
        "xaxbx",
        "un[closed",
        "back\\slash",
        "kept/this",
        "kept/that",
        "z",
        "only/ignored/x.o",
    ):
        rig.write(name, "x")


def excludes_file_of_the_user(rig: Rig) -> None:
    rig.make()
    (rig.user / "mine").write_text("by_me\n")
    rig.git("config", "--global", "core.excludesFile", "~/mine")
    rig.write("by_me", "x")
    rig.write("by_other", "x")


def tracked_but_ignored(rig: Rig) -> None:
    rig.make()
    rig.write("build/kept.txt", "x")
    rig.write("build/same.txt", "x")
    rig.commit()
    rig.write(".gitignore", "build\n*.txt\n")
    rig.write("build/kept.txt", "yy")
    rig.write("build/new", "x")


def ignore_file_is_a_link(rig: Rig) -> None:
    rig.make()
    (rig.user / "rules").write_text("*.o\n")
    (rig.work / ".gitignore").symlink_to(rig.user / "rules")
    rig.commit()
    rig.write("x.o", "x")


def fold_case(rig: Rig) -> None:
    rig.make(core__ignoreCase="true")
    rig.write(".gitignore", "*.OBJ\n")
    rig.commit()
    rig.write("x.obj", "x")


def nested_repositories(rig: Rig) -> None:
    rig.make()
    for name in ("one", "deep/down", "src/here", "empty"):
        (rig.work / name).mkdir(parents=True)
        rig.git("init", "-q", cwd=rig.work / name)
    rig.write("one/x", "x")
    rig.commit(rig.work / "one")
    rig.write("not_one/.git/x", "no repository")
    rig.write("not_two/.git", "gitdir: /nowhere\n")
    rig.write("not_three/.git/x", "no repository")
    rig.write("not_three/y", "y")
    rig.write(".gitignore", "hidden\n")
    rig.git("add", ".gitignore")
    rig.git("commit", "-qm", "ignore")
    (rig.work / "hidden").mkdir()
    rig.git("init", "-q", cwd=rig.work / "hidden")


def with_submodules(rig: Rig, *names: str) -> None:
    other = rig.user / "other"
    other.mkdir()
    rig.git("init", "-q", "-b", "main", cwd=other)
    rig.write("f.txt", "f\n", other)
    rig.commit(other)
    rig.make()
    for name in names:
        rig.git("submodule", "add", "-q", str(other), name)
    rig.commit()


def submodules_clean(rig: Rig) -> None:
    with_submodules(rig, "lib", "not_there")
    rig.git("submodule", "deinit", "-f", "-q", "not_there")
    age(rig.work / "lib" / "f.txt")


def submodules_changed(rig: Rig) -> None:
    with_submodules(rig, "dirty", "fresh", "moved", "staged", "gone", "became_file", "overlooked", "same")
    rig.write("dirty/f.txt", "g\n")
    rig.write("fresh/new.txt", "g\n")
    rig.write("moved/f.txt", "g\n")
    rig.commit(rig.work / "moved")
    rig.write("staged/f.txt", "g\n")
    rig.git("add", "f.txt", cwd=rig.work / "staged")
    shutil.rmtree(rig.work / "gone")
    shutil.rmtree(rig.work / "became_file")
    rig.write("became_file", "x")
    rig.git("config", "submodule.overlooked.ignore", "dirty")
    rig.write("overlooked/f.txt", "g\n")


def overlooked_by_the_project(rig: Rig) -> None:
    with_submodules(rig, "fresh", "moved")
    rig.git("config", "-f", ".gitmodules", "submodule.fresh.ignore", "untracked")
    rig.git("config", "-f", ".gitmodules", "submodule.moved.ignore", "all")
    rig.commit()
    rig.write("fresh/new", "x")
    rig.write("moved/f.txt", "g\n")
    rig.commit(rig.work / "moved")


def sha256(rig: Rig) -> None:
    rig.make("--object-format=sha256")
    rig.write("a.txt", "x\n")
    rig.write("new", "x\n")
    age(rig.work / "b.txt")


def sha256_clean(rig: Rig) -> None:
    rig.make("--object-format=sha256")
    rig.write("a.txt", "x\n")
    rig.commit()
    age(rig.work / "b.txt")


def sparse(rig: Rig, *args: str) -> None:
    rig.make()
    rig.git("sparse-checkout", "set", *args, "docs")
    assert not (rig.work / "src").exists()


def sparse_clean(rig: Rig) -> None:
    sparse(rig)


def sparse_index(rig: Rig) -> None:
    sparse(rig, "--cone", "--sparse-index")
    rig.write("docs/read.md", "x\n")
    rig.write("new", "x")


def sparse_with_a_file_put_back(rig: Rig) -> None:
    sparse(rig, "--no-cone")
    rig.write("src/one.py", "3\n")
    rig.write("src/deep/two.py", "2\n")


def sparse_ignore_file_not_there(rig: Rig) -> None:
    rig.make()
    rig.write("src/.gitignore", "*.o\n")
    rig.commit()
    rig.git("sparse-checkout", "set", "--no-cone", "docs")
    rig.write("src/x.o", "x")
    rig.write("src/x.c", "x")


def skipped_by_hand(rig: Rig) -> None:
    rig.make()
    rig.git("update-index", "--skip-worktree", "a.txt", "b.txt", "src/one.py")
    rig.write("a.txt", "x\n")
    (rig.work / "b.txt").unlink()


def taken_for_unchanged(rig: Rig) -> None:
    rig.make()
    rig.git("update-index", "--assume-unchanged", "a.txt", "b.txt")
    rig.write("a.txt", "x\n")
    (rig.work / "b.txt").unlink()


def intent_to_add(rig: Rig) -> None:
    rig.make(files={**FILES, "void": ""})
    rig.git("rm", "-q", "--cached", "void")
    rig.git("add", "-N", "void")
    rig.write("promised", "x")
    rig.write("empty", "")
    rig.git("add", "-N", "promised", "empty")


def carriage_returns(rig: Rig) -> None:
    rig.make(
        files={
            ".gitattributes": "*.t text\n*.auto text=auto\n*.crlf text eol=crlf\n*.bin binary\n"
            '*.lf eol=lf\n*.old crlf\n*.no -text\n[attr]raw -text -diff\n*.raw raw\n"a b.t" -text\n',
            **{
                f"f.{kind}": "1\n2\n"
                for kind in ("t", "auto", "crlf", "bin", "lf", "old", "no", "raw", "none")
            },
            "a b.t": "1\n2\n",
            "guess.auto": "1\n2\n",
            "nul.auto": "1\n\0",
        }
    )
    for kind in ("t", "auto", "crlf", "bin", "lf", "old", "no", "raw", "none"):
        rig.write(f"f.{kind}", "1\r\n2\r\n")
    rig.write("a b.t", "1\r\n2\r\n")
    rig.write("guess.auto", "1\r\n\r2\r\n")
    rig.write("nul.auto", "1\r\n\0")
    reindex_without_times(rig)


def reindex_without_times(rig: Rig) -> None:
    """Makes the index forget times and sizes, so that everything must be read."""
    listed = rig.git("ls-files", "-s", "-z")
    subprocess.run(
        ("git", "update-index", "-z", "--index-info"), cwd=rig.work, input=listed, text=True, check=True
    )


def autocrlf(rig: Rig) -> None:
    rig.make(
        files={
            "x": "1\n2\n",
            "y": "1\n2\n",
            "z": "1\n",
            "crlf": "1\r\n",
            "nul": "1\n\0",
            "text": "a" * 500 + "\n",
        }
    )
    rig.git("config", "core.autocrlf", "true")
    rig.write("x", "1\r\n2\r\n")
    rig.write("y", "1\r\n3\r\n")
    rig.write("crlf", "1\r\n")
    rig.write("nul", "1\r\n\0")
    rig.write("text", "a" * 500 + "\r\n")
    reindex_without_times(rig)


def line_ends_across_pieces(rig: Rig) -> None:
    lines = b"x" * (CHUNK - 1) + b"\nmore\n"
    rig.make(files={".gitattributes": "big text\n", "big": lines.decode(), "big.auto": lines.decode()})
    rig.write("big", lines.replace(b"\n", b"\r\n"))
    reindex_without_times(rig)


def attributes_are_missing_in_the_worktree(rig: Rig) -> None:
    rig.make(files={".gitattributes": "*.t text\n", "f.t": "1\n2\n"})
    (rig.work / ".gitattributes").unlink()
    rig.write("f.t", "1\r\n2\r\n")
    reindex_without_times(rig)


def attributes_from_elsewhere(rig: Rig) -> None:
    rig.make(
        files={
            "f.t": "1\n2\n",
            "g.t": "1\n2\n",
            "h.t": "1\n",
            "d/.gitattributes": "/h.t text\n",
            "d/h.t": "1\n",
        }
    )
    (rig.root / ".git" / "info" / "attributes").write_text("f.t text\n")
    rig.write("git/attributes", "g.t text\nf.t -text\n", rig.user / "config")
    for name in ("f.t", "g.t", "d/h.t"):
        rig.write(name, (rig.work / name).read_text().replace("\n", "\r\n"))
    reindex_without_times(rig)


def lfs(rig: Rig) -> None:
    """Git LFS in small: what is stored is a pointer."""
    script = (
        "import sys,hashlib\nd=sys.stdin.buffer.read()\nif d: print('version https://git-lfs.github.com/spec/v1\\n"
        "oid sha256:%s\\nsize %d' % (hashlib.sha256(d).hexdigest(), len(d)))\n"
    )
    clean = program(rig.user / "clean", script)
    rig.git("config", "--global", "filter.lfs.clean", clean, cwd=rig.user)
    rig.git("config", "--global", "filter.lfs.required", "true", cwd=rig.user)
    rig.make(files={".gitattributes": "*.bin filter=lfs -text\n"})
    for name in ("same", "aged", "other"):
        rig.write(f"{name}.bin", "large" * 100)
    rig.write("empty.bin", "")
    rig.commit()
    age(rig.work / "aged.bin")
    age(rig.work / "empty.bin")


def lfs_changed(rig: Rig) -> None:
    lfs(rig)
    rig.write("other.bin", "LARGE" * 100)
    rig.write("new.bin", "x")


def filter_of_the_user(rig: Rig) -> None:
    rig.git("config", "--global", "filter.upper.clean", "tr a-z A-Z", cwd=rig.user)
    rig.make(
        files={
            ".gitattributes": "*.up filter=upper\n*.other filter=unknown\n",
            "x.up": "ABC\n",
            "y.other": "y\n",
        }
    )
    rig.write("x.up", "abc\n")
    time.sleep(0.05)  # the index must be younger than the file, by the file system's own clock
    rig.commit()
    age(rig.work / "y.other")


def filter_of_the_user_changed(rig: Rig) -> None:
    filter_of_the_user(rig)
    rig.write("x.up", "abcd\n")


def conflicts(rig: Rig) -> None:
    rig.make()
    rig.write("a.txt", "ours\n")
    rig.write("docs/read.md", "ours\n")
    rig.write("same", "s\n")
    rig.commit()
    rig.write("a.txt", "theirs\n", rig.root)
    (rig.root / "docs" / "read.md").unlink()
    rig.git("add", "-A", ":!.worktrees", cwd=rig.root)
    rig.git("commit", "-qm", "theirs", cwd=rig.root)
    assert subprocess.run(("git", "merge", "-q", "main"), cwd=rig.work, capture_output=True).returncode == 1


def split_index(rig: Rig) -> None:
    rig.make(files={**FILES, **{f"many/{number}": str(number) for number in range(200)}})
    rig.git("update-index", "--split-index")
    assert list(rig.git_dir.glob("sharedindex.*"))
    rig.git("config", "splitIndex.maxPercentChange", "100")
    rig.git("rm", "-q", "many/3", "many/71", "many/199")
    for number in range(0, 200, 7):
        rig.write(f"many/{number}", "new")
    rig.write("zz", "x")
    rig.write("many/1000", "x")
    rig.git("add", "-A")
    rig.git("commit", "-qm", "split")
    rig.write("many/5", "yy")


def index_version_4(rig: Rig) -> None:
    rig.make()
    rig.git("update-index", "--index-version", "4")
    rig.write("a.txt", "x\n")


def noted_by_others(rig: Rig) -> None:
    """An untracked cache, and what a file system monitor said: both are out of date."""
    rig.make()
    rig.git("update-index", "--force-untracked-cache")
    hook = program(
        rig.user / "monitor",
        f"import sys\nopen({str(rig.user / 'ran')!r}, 'a')\nprint('token', '/', sep='\\0', end='\\0')\n",
    )
    rig.git("config", "core.fsmonitor", hook)
    rig.git("update-index", "--fsmonitor")
    rig.git("status")
    rig.write("a.txt", "x\n")
    rig.write("new", "x\n")
    (rig.user / "ran").unlink()


def packed(rig: Rig) -> None:
    rig.make()
    rig.write("a.txt", "x\n")
    rig.commit()
    rig.git("gc", "-q", "--aggressive")
    rig.git("pack-refs", "--all")
    rig.git("commit-graph", "write", "--reachable")


def before_the_first_commit(rig: Rig) -> None:
    rig.make()
    rig.git("checkout", "-q", "--orphan", "fresh")


def detached(rig: Rig) -> None:
    rig.make()
    rig.git("checkout", "-q", "--detach")


def many_files(rig: Rig) -> None:
    rig.make(files={f"d{number % 400}/f{number}.txt": str(number) for number in range(20_000)})
    rig.write("d7/f7.txt", "changed")
    rig.write("d7/new.txt", "new")


CLEAN = (
    nothing,
    touched_only,
    executable_without_modes,
    other_permissions,
    empty_folders,
    submodules_clean,
    overlooked_by_the_project,
    sha256_clean,
    sparse_clean,
    skipped_by_hand,
    taken_for_unchanged,
    line_ends_across_pieces,
    attributes_from_elsewhere,
    lfs,
    filter_of_the_user,
    packed,
    detached,
    fold_case,
)
NOT_CLEAN = (
    modified,
    modified_to_the_same_size,
    staged,
    staged_and_undone_in_the_file,
    deleted,
    renamed,
    emptied_and_always_empty,
    racy,
    made_executable,
    links,
    folder_becomes_link,
    file_and_folder_change_places,
    neither_file_nor_folder,
    new_things,
    odd_names,
    ignoring,
    excludes_file_of_the_user,
    tracked_but_ignored,
    ignore_file_is_a_link,
    nested_repositories,
    submodules_changed,
    sha256,
    sparse_index,
    sparse_with_a_file_put_back,
    sparse_ignore_file_not_there,
    intent_to_add,
    carriage_returns,
    autocrlf,
    attributes_are_missing_in_the_worktree,
    lfs_changed,
    filter_of_the_user_changed,
    conflicts,
    split_index,
    index_version_4,
    noted_by_others,
    before_the_first_commit,
    many_files,
)

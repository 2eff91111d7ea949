"""Real repositories in a temporary folder, with a fingerprint of all that Sparki must not change in them."""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sparki_daemon.source.repository import Repository, find
from sparki_daemon.source.snapshot import Snapshot, take

Mark = dict[str, tuple[str, int, int]]


class Repo:
    """A repository of a user."""

    def __init__(self, root: Path, objects: Path) -> None:
        self.root = root
        self.objects = objects

    def git(self, *args: str, stdin: bytes | None = None) -> str:
        done = subprocess.run(["git", *args], cwd=self.root, input=stdin, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return os.fsdecode(done.stdout).strip()

    def write(self, path: str, content: str | bytes = "x\n", *, executable: bool = False) -> Path:
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content.encode() if isinstance(content, str) else content)
        if executable:
            place.chmod(0o755)
        return place

    def commit(self, message: str = "one") -> str:
        self.git("add", "--all")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def found(self) -> Repository:
        return find(str(self.root))

    def take(self) -> Snapshot:
        return take(self.found(), str(self.objects))

    def mark(self, *, times: bool = True) -> Mark:
        """Name, content, mode and (unless not `times`) time of every file in .git (of every repository that is in this one)."""
        marks: Mark = {}
        for folder, _, names in os.walk(self.root):
            if ".git" not in Path(folder).parts:
                continue
            for name in names:
                path = os.path.join(folder, name)
                about = os.lstat(path)
                content = os.readlink(path).encode() if os.path.islink(path) else Path(path).read_bytes()
                marks[path] = (hashlib.sha256(content).hexdigest(), about.st_mode, about.st_mtime_ns if times else 0)
        return marks

    @contextlib.contextmanager
    def untouched(self, *, times: bool = True) -> Iterator[None]:
        """Nothing of any .git changes in here: no content, no name, no mode, no time."""
        before = self.mark(times=times)
        yield
        assert self.mark(times=times) == before


def git_env(snapshot: Snapshot) -> dict[str, str]:
    return {**os.environ, "GIT_DIR": snapshot.git_dir, "GIT_ALTERNATE_OBJECT_DIRECTORIES": snapshot.objects or ""}


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user whose git settings are known."""
    for name in list(os.environ):
        if name.startswith("GIT_"):
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    settings = '[user]\nname = Ada Lovelace\nemail = ada@example.org\n[init]\ndefaultBranch = main\n[protocol "file"]\nallow = always\n'
    (home / ".gitconfig").write_text(settings)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)


@pytest.fixture
def new_repo(tmp_path: Path) -> Callable[..., Repo]:
    def make(name: str = "project", *options: str) -> Repo:
        root = tmp_path / name
        root.mkdir(parents=True)
        repo = Repo(root, tmp_path / "snapshots" / name / "objects")
        repo.git("init", "-q", *options)
        return repo

    return make


@pytest.fixture
def repo(new_repo: Callable[..., Repo]) -> Repo:
    """One commit with three files on main."""
    made = new_repo()
    made.write("README.md", "hello\n")
    made.write("src/run.sh", "#!/bin/sh\n", executable=True)
    made.write("src/a b.txt", "spaced\n")
    made.commit()
    return made


@pytest.fixture
def tree_of() -> Callable[[Snapshot], dict[str, str]]:
    """What a snapshot's tree holds: path → mode."""

    def listing(snapshot: Snapshot) -> dict[str, str]:
        args = ["git", "ls-tree", "-r", "-z", snapshot.tree]
        out = subprocess.run(args, env=git_env(snapshot), capture_output=True, check=True).stdout
        entries = [entry.partition("\t") for entry in os.fsdecode(out).split("\0")[:-1]]
        return {path: about.split(" ")[0] for about, _, path in entries}

    return listing


@pytest.fixture
def content_of() -> Callable[[Snapshot, str], bytes]:
    def content(snapshot: Snapshot, path: str) -> bytes:
        args = [b"git", b"cat-file", b"blob", os.fsencode(f"{snapshot.tree}:{path}")]
        return subprocess.run(args, env=git_env(snapshot), capture_output=True, check=True).stdout

    return content

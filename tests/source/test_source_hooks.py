"""The hooks are shell that every sh takes, whatever the paths in them look like; the post-receive hook writes a push down whole."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from sparki_daemon.source.hooks import post_receive, pre_push

ODD = ["plain", "with blanks", "it's", 'a "quote"', "$HOME `x` \\", "two\nlines", os.fsdecode(b"caf\xe9")]


def install(path: Path, text: str) -> Path:
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    path.chmod(0o755)
    return path


def program(folder: Path) -> Path:
    """Stands for sparki: says what it was called with."""
    folder.mkdir()
    return install(
        folder / "sparki", '#!/bin/sh\nprintf "%s|" "$@"\nprintf "home=%s,%s\\n" "$SPARKI_HOME" "${XDG_STATE_HOME-unset}"\ncat\n'
    )


@pytest.mark.parametrize("name", ODD)
def test_a_push_is_written_down_whole_before_anything_is_started(tmp_path: Path, name: str) -> None:
    pending = tmp_path / name / "pending"
    pending.mkdir(parents=True)
    sparki = program(tmp_path / name / "bin")
    variables = {"SPARKI_HOME": str(tmp_path / name), "XDG_STATE_HOME": None}
    text = post_receive(pending=str(pending), project="p-1", command=[str(sparki), "-x"], variables=variables)
    hook = install(tmp_path / "hook", text)
    options = {"GIT_PUSH_OPTION_COUNT": "2", "GIT_PUSH_OPTION_0": "a 'b' $c", "GIT_PUSH_OPTION_1": "sparki.queue"}

    done = subprocess.run(
        [hook], input=b"1 2 refs/heads/caf\xe9\n", env={**os.environ, **options, "XDG_STATE_HOME": "x"}, capture_output=True, check=True
    )

    (push,) = pending.iterdir()
    assert push.read_bytes() == b"option a 'b' $c\noption sparki.queue\n1 2 refs/heads/caf\xe9\nend\n"
    assert push.name.isalnum()
    told = os.fsdecode(done.stdout)
    assert told == f"-x|hook|post-receive|p-1|{push.name}|home={tmp_path / name},unset\n"


def test_a_program_that_is_gone_is_told_and_the_push_is_kept(tmp_path: Path) -> None:
    pending = tmp_path / "pending"
    pending.mkdir()
    hook = install(tmp_path / "hook", post_receive(pending=str(pending), project="p-1", command=["/no/sparki"], variables={}))

    done = subprocess.run([hook], input=b"1 2 refs/heads/main\n", capture_output=True, check=True)

    assert done.stderr.startswith(b"sparki: /no/sparki is gone: the push is kept")
    assert len(list(pending.iterdir())) == 1


def test_a_folder_that_is_gone_is_told(tmp_path: Path) -> None:
    hook = install(tmp_path / "hook", post_receive(pending="/no/folder", project="p-1", command=["/bin/true"], variables={}))

    done = subprocess.run([hook], input=b"1 2 refs/heads/main\n", capture_output=True, check=True)

    assert b"sparki: can't write into /no/folder: the push is kept, and nothing is run" in done.stderr


@pytest.mark.parametrize("name", ODD)
def test_a_pre_push_hook_asks_for_its_remotes_alone_and_gives_all_that_git_said(tmp_path: Path, name: str) -> None:
    sparki = program(tmp_path / name)
    hook = install(tmp_path / "pre-push", pre_push(remotes=["origin", "up stream"], command=[str(sparki)], variables={"SPARKI_HOME": "/h"}))

    def asked(remote: str, said: bytes) -> bytes:
        return subprocess.run([hook, remote, "url"], input=said, capture_output=True, check=True).stdout

    assert asked("up stream", b"a 1 b 2\nc 3 d 4\n").startswith(b"hook|pre-push|up stream|home=/h,")
    assert asked("origin", b"a 1 b 2\nc 3 d 4\n").endswith(b"\na 1 b 2\nc 3 d 4\n")
    assert asked("other", b"a 1 b 2\n") == b""
    assert asked("origin", b"") == b""


def test_the_users_own_hook_comes_first_with_the_same_words_and_input(tmp_path: Path) -> None:
    install(tmp_path / "pre-push.before-sparki", '#!/bin/sh\necho "own $*"\ncat\nexit 3\n')
    hook = install(tmp_path / "pre-push", pre_push(remotes=["origin"], command=["/bin/true"], variables={}))

    done = subprocess.run([hook, "elsewhere", "url"], input=b"a 1 b 2\n", capture_output=True, check=False)

    assert (done.returncode, done.stdout) == (3, b"own elsewhere url\na 1 b 2\n")


def test_a_pre_push_hook_whose_program_is_gone_lets_the_push_pass_and_says_so(tmp_path: Path) -> None:
    hook = install(tmp_path / "pre-push", pre_push(remotes=["origin"], command=["/no/sparki"], variables={}))

    done = subprocess.run([hook, "origin", "url"], input=b"a 1 b 2\n", capture_output=True, check=True)

    assert b"/no/sparki is gone, so nothing was run" in done.stderr

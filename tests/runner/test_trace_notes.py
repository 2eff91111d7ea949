"""What strace noted, and what a job is told to have read by it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from sparki_daemon.runner.reads import looked_at
from sparki_daemon.runner.trace_notes import Did, Noted, noted, of_process
from sparki_daemon.runner.tracer import options


def did(*lines: str) -> list[tuple[Did, str]]:
    return [(one.did, one.path) for one in of_process((f"{number}.5 {line}\n" for number, line in enumerate(lines)), "/start")]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('openat(AT_FDCWD</w>, "a", O_RDONLY) = 3</w/a>', [(Did.READ, "/w/a")]),
        ('openat(AT_FDCWD</w>, "link", O_RDONLY) = 3</w/a>', [(Did.READ, "/w/link"), (Did.READ, "/w/a")]),
        ('openat(5</w/sub>, "../a", O_RDWR) = 3</w/a>', [(Did.READ, "/w/a")]),
        ('open("a", O_RDONLY) = 3</w/a>', [(Did.READ, "/start/a"), (Did.READ, "/w/a")]),
        ('openat(AT_FDCWD</w>, "a", O_WRONLY|O_APPEND) = 3</w/a>', []),
        ('openat(AT_FDCWD</w>, "a", O_WRONLY|O_CREAT|O_TRUNC, 0666) = 3</w/a>', [(Did.MADE, "/w/a")]),
        ('openat(AT_FDCWD</w>, "a", O_RDWR|O_CREAT|O_EXCL, 0600) = 3</w/a>', [(Did.MADE, "/w/a")]),
        ('openat(AT_FDCWD</w>, ".", O_RDONLY|O_DIRECTORY) = 3</w>', [(Did.LISTED, "/w")]),
        ('openat(AT_FDCWD</w>, "a", O_RDONLY|O_PATH) = 3</w/a>', []),
        ('openat(AT_FDCWD</w>, "\\303\\244\\"\\n", O_RDONLY) = 3</w/\\303\\244\\"\\n>', [(Did.READ, '/w/ä"\n')]),
        ('rename("a", "b")                       = 0', [(Did.READ, "/start/a"), (Did.MADE, "/start/b")]),
        ('renameat(AT_FDCWD</w>, "a", AT_FDCWD</w>, "b") = 0', [(Did.READ, "/w/a"), (Did.MADE, "/w/b")]),
        ('renameat2(7</x>, "a", AT_FDCWD</w>, "b", RENAME_NOREPLACE) = 0', [(Did.READ, "/x/a"), (Did.MADE, "/w/b")]),
        ('mkdir("new", 0777) = 0', [(Did.MADE, "/start/new")]),
        ("+++ exited with 0 +++", []),
        ('openat(AT_FDCWD</w>, "half', []),
    ],
)
def test_a_note_is_what_was_done_with_which_path(line: str, expected: list[tuple[Did, str]]) -> None:
    assert did(line) == expected


def test_a_program_is_where_the_next_note_says_that_its_process_is() -> None:
    run = 'execve("./go", [...], 0x1 /* 9 vars */) = 0'
    told = did(run, 'openat(AT_FDCWD</w/tools>, "/etc/ld.so.cache", O_RDONLY) = 3</etc/ld.so.cache>')
    assert told[:2] == [(Did.RAN, "/w/tools/go"), (Did.READ, "/w/tools/go")]
    assert did(run) == [(Did.RAN, "/start/go"), (Did.READ, "/start/go")]


def test_what_was_made_before_it_was_read_is_no_read() -> None:
    told = [
        Noted(1, Did.READ, "/w/early"),
        Noted(2, Did.MADE, "/w/early"),
        Noted(3, Did.MADE, "/w/own"),
        Noted(4, Did.READ, "/w/own"),
        Noted(5, Did.READ, "/w/own/below"),
        Noted(6, Did.LISTED, "/w"),
        Noted(7, Did.LISTED, "/w/own"),
    ]
    assert looked_at(told) == ({"/w/early"}, {"/w"})


@pytest.mark.skipif(shutil.which("strace") is None, reason="there is no strace here")
def test_the_strace_of_this_machine_notes_in_that_form(tmp_path: Path) -> None:
    work, notes = tmp_path / "wörk", tmp_path / "notes"
    (work / "sub").mkdir(parents=True)
    notes.mkdir()
    (work / "a").write_text("a")
    script = "cat a; echo b > b; cp b c; mv c d; ls sub; cd sub; cat ../a; cat ../no"
    subprocess.run(["strace", *options(str(notes)), "bash", "-c", script], cwd=work, check=False, capture_output=True, timeout=30)

    told = [one for one in noted(str(notes), str(work)) if one.path.startswith(str(work))]
    read, listed = looked_at(sorted(told, key=lambda one: one.time))
    assert (read, listed) == ({f"{work}/a"}, {f"{work}/sub"})
    assert {one.path for one in told if one.did is Did.MADE} == {f"{work}/{name}" for name in "bcd"}

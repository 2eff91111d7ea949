"""A command of a deployment that is to go no further: nothing of it is left, and a recorder that comes late does not begin it."""

from __future__ import annotations

from pathlib import Path

from loco_services import until

from sparki_daemon.loco import recorder
from sparki_daemon.loco.protocol import Seen
from sparki_daemon.system import process


def begin(folder: Path, command: str):
    return recorder.begin(str(folder / "record"), command, str(folder), {}, str(folder / "log" / "log"))


def test_an_ended_command_leaves_nothing_and_is_seen_to_have_failed(tmp_path: Path) -> None:
    running = begin(tmp_path, "echo $$ > first; (trap '' TERM; sleep 300 & echo $! > second; wait) & wait")
    until(lambda: (tmp_path / "second").exists() and (tmp_path / "second").read_text().strip(), "it runs")
    tree = [process.identity(int((tmp_path / name).read_text())) for name in ("first", "second")]
    recorder.end(str(tmp_path / "record"))

    assert running.wait() == 0
    assert [who for who in tree if process.alive(who)] == []
    assert recorder.seen(str(tmp_path / "record"))[0] is Seen.FAILED


def test_a_recorder_that_comes_late_begins_nothing(tmp_path: Path) -> None:
    running = begin(tmp_path, "echo ran > ran")
    recorder.end(str(tmp_path / "record"))
    running.wait()
    recorder.end(str(tmp_path / "record"))
    again = recorder.seen(str(tmp_path / "record"))[0]

    assert again in (Seen.ABSENT, Seen.FAILED, Seen.DONE)
    assert (again is Seen.ABSENT) == (not (tmp_path / "ran").exists())


def test_a_secret_that_a_command_prints_is_not_in_the_log_wherever_its_output_was_cut(tmp_path: Path) -> None:
    halves = 'printf "in %.5s" "$KEY"; sleep 0.1; printf "%s out\n" "${KEY#?????}"; (sleep 300 &); exit 3'
    running = recorder.begin(
        str(tmp_path / "record"), halves, str(tmp_path), {"KEY": "correct-horse"}, str(tmp_path / "log" / "log"), hidden=["KEY"]
    )
    running.wait()

    assert (tmp_path / "log" / "log").read_text() == "in *** out\n"
    assert recorder.seen(str(tmp_path / "record")) == (Seen.FAILED, 3)
    recorder.end(str(tmp_path / "record"))


def test_ending_what_never_began_is_nothing(tmp_path: Path) -> None:
    recorder.end(str(tmp_path / "record"))

    assert not (tmp_path / "record").exists()

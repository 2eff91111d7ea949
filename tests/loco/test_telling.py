"""What a deployment's log tells of its steps: their beginnings, ends and reasons, in the order in which they happened."""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path

import pytest
from twin import Died, TwinAdapter
from yard import Yard

from sparki_daemon.loco.driver import Asked
from sparki_daemon.loco.telling import Telling, tell
from sparki_daemon.model.deploy_log import LogLines, Mark


def told(yard: Yard) -> list[tuple[str, str]]:
    """(step, text) of each line, without the times that steps took."""
    lines = LogLines().feed((yard.folder / "log").read_bytes())
    return [(line.step, re.sub(r"[\d.]+ m?s$", "T", line.text)) for line in lines]


async def test_each_step_that_is_asked_for_begins_and_ends(yard: Yard) -> None:
    assert (await yard.drive(await yard.deployment(), Telling(TwinAdapter(yard.platform)))).state == "live"

    lines = told(yard)
    assert lines[:4] == [
        ("lock", "take the target"),
        ("lock", "done in T"),
        ("prepare", "check what the release needs"),
        ("prepare", "done in T"),
    ]
    assert lines[-1] == ("done", "done in T")
    assert {"release_command", "watch"}.isdisjoint(step for step, _ in lines)


async def test_why_a_step_failed_and_what_was_taken_back_for_it(yard: Yard) -> None:
    await yard.drive(await yard.deployment(), Telling(TwinAdapter(yard.platform, fails={"health"})))

    assert told(yard)[-9:] == [
        ("health", "wait until the new release is healthy"),
        ("health", "failed: health does not work"),
        ("health", "after T"),
        ("start", "stop the new release"),
        ("start", "done in T"),
        ("ship", "take the artifact away"),
        ("ship", "done in T"),
        ("lock", "let the target go"),
        ("lock", "done in T"),
    ]


async def test_a_look_of_the_next_loco_and_what_it_found(yard: Yard) -> None:
    deployment = await yard.deployment()
    with pytest.raises(Died):
        await yard.drive(deployment, Telling(TwinAdapter(yard.platform, dies="after:start")))
    assert told(yard)[-1] == ("start", "start the new release")  # whoever is killed says nothing more

    await yard.drive(deployment, Telling(TwinAdapter(yard.platform)))
    assert ("start", "look whether this has happened: start the new release") in told(yard)
    assert ("start", "it has happened") in told(yard)


async def test_a_step_that_was_stopped(yard: Yard) -> None:
    deployment, asked = await yard.deployment(), Asked()
    driving = asyncio.create_task(yard.drive(deployment, Telling(TwinAdapter(yard.platform, hangs={"health"})), asked))
    while not (yard.folder / "log").exists() or told(yard)[-1] != ("health", "wait until the new release is healthy"):
        await asyncio.sleep(0.001)
    asked.ask("cancel")

    assert (await driving).state == "cancelled"
    assert ("health", "stopped after T") in told(yard)


def test_a_log_that_can_not_be_written_keeps_nobody_up(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    tell(str(tmp_path / "file" / "log"), "start", "it begins")

    tell(os.fspath(tmp_path / "new" / "log"), "start", "it begins", Mark.BEGUN)
    assert (tmp_path / "new" / "log").read_text().endswith("Z start > it begins\n")


def test_a_log_in_a_folder_that_was_removed_or_moved_does_not_bring_that_back(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    tell(str(tmp_path / "home" / "logs" / "d-1" / "deployment.log"), "start", "it begins")
    (tmp_path / "home").rename(tmp_path / "elsewhere")

    tell(str(tmp_path / "home" / "logs" / "d-1" / "deployment.log"), "start", "it goes on")

    assert [path.name for path in tmp_path.iterdir()] == ["elsewhere"]
    assert (tmp_path / "elsewhere" / "logs" / "d-1" / "deployment.log").read_text().count("\n") == 1


def test_what_loco_says_begins_a_line_whatever_a_command_has_printed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"no line end")
    tell(str(log), "start", "it begins\nand goes on")

    assert [(line.mark, line.text) for line in LogLines().feed(log.read_bytes())] == [
        (Mark.PRINTED, "no line end"),
        (Mark.SAID, "it begins"),
        (Mark.SAID, "and goes on"),
    ]

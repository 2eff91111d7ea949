"""`sparki artifacts` through the real process: what it lists, what it copies, and what it refuses."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from cli_stories import Program
from stand_in import Reply, Request, StandIn, answers

from sparki_cli.artifacts import size

CONTENT = {("report", 0): b"<html>", ("report", 1): b"deep\0" * 50_000, ("wheel", 0): b"zip"}


def artifact(name: str, job: str, *paths: str) -> dict[str, Any]:
    held = [CONTENT.get((name, index), b"") for index in range(len(paths))]
    files = [
        {"path": path, "size_bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()} for path, data in zip(paths, held, strict=True)
    ]
    about = {"attempt": 1, "digest": "d", "created": "2026-11-23T12:00:00.000Z"}
    return {"name": name, "job": job, "size_bytes": sum(map(len, held)), "files": files, **about}


TOLD = {"run": "r-1", "artifacts": [artifact("report", "test", "index.html", "a/deep.bin"), artifact("wheel", "build", "x.whl")]}


@pytest.fixture
def engine(stand_in: StandIn) -> StandIn:
    def file(request: Request, reply: Reply) -> None:
        data = CONTENT[request.values("name")[0], int(request.values("file")[0])]
        reply.begin()
        for at in range(0, len(data), 100_000):
            reply.chunk(data[at : at + 100_000])
        reply.end()

    stand_in.on("GET", "/v1/runs/latest/artifacts", answers(TOLD))
    stand_in.on("GET", "/v1/runs/r-1/artifact", file)
    return stand_in


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.usefixtures("engine")
def test_artifacts_are_listed_with_their_size_and_job(sparki: Program, folder: Path) -> None:
    done = sparki("artifacts", "latest")
    assert done.returncode == 0
    assert [line.split() for line in done.stdout.splitlines()] == [
        ["ARTIFACT", "SIZE", "FILES", "JOB"],
        ["report", "244.1", "KiB", "2", "test"],
        ["wheel", "3", "B", "1", "build"],
    ]
    assert json.loads(sparki("artifacts", "latest", "--json").stdout) == TOLD
    assert files_in(folder) == {}


@pytest.mark.usefixtures("engine")
def test_one_artifact_is_copied_into_the_folder_itself(sparki: Program, folder: Path) -> None:
    done = sparki("artifacts", "latest", "report", "--to", "out")
    assert (done.returncode, done.stdout) == (0, f"2 files copied to {folder}/out\n")
    assert files_in(folder / "out") == {"index.html": CONTENT["report", 0], "a/deep.bin": CONTENT["report", 1]}


@pytest.mark.usefixtures("engine")
def test_all_are_copied_each_into_a_folder_of_its_name(sparki: Program, folder: Path) -> None:
    done = sparki("artifacts", "latest", "--to", ".", "--json")
    assert done.returncode == 0
    assert set(files_in(folder)) == {"report/index.html", "report/a/deep.bin", "wheel/x.whl"}
    copied = json.loads(done.stdout)["copied"]
    assert copied[-1] == {"artifact": "wheel", "path": f"{folder}/wheel/x.whl"}


@pytest.mark.usefixtures("engine")
def test_a_file_that_is_there_is_overwritten_only_with_force(sparki: Program, folder: Path) -> None:
    (folder / "x.whl").write_bytes(b"mine")
    refused = sparki("artifacts", "latest", "wheel")
    assert refused.returncode == 2
    assert f"there is a file already: {folder}/x.whl" in refused.stderr
    assert files_in(folder) == {"x.whl": b"mine"}
    assert sparki("artifacts", "latest", "wheel", "--force").returncode == 0
    assert files_in(folder) == {"x.whl": b"zip"}


@pytest.mark.usefixtures("engine")
def test_an_unknown_name_is_told_with_those_there_are(sparki: Program) -> None:
    done = sparki("artifacts", "latest", "reprot")
    assert (done.returncode, done.stderr) == (
        5,
        "error: run r-1 has no artifact 'reprot'\nhint: there are: report, wheel\n",
    )


def test_a_damaged_file_is_told_and_not_left(sparki: Program, engine: StandIn, folder: Path) -> None:
    wrong = artifact("wheel", "build", "x.whl")
    wrong["files"][0]["sha256"] = "0" * 64
    engine.on("GET", "/v1/runs/latest/artifacts", answers({"run": "r-1", "artifacts": [wrong]}))
    done = sparki("artifacts", "latest", "wheel")
    assert done.returncode == 1
    assert "is not what was kept" in done.stderr
    assert files_in(folder) == {}


@pytest.mark.parametrize("path", ["../x", "/etc/x", "a/../../x", "a//x"])
def test_nothing_is_copied_out_of_the_folder(sparki: Program, engine: StandIn, folder: Path, path: str) -> None:
    engine.on("GET", "/v1/runs/latest/artifacts", answers({"run": "r-1", "artifacts": [artifact("wheel", "build", path)]}))
    done = sparki("artifacts", "latest", "wheel")
    assert done.returncode == 1
    assert "can't be a path" in done.stderr
    assert not (folder.parent / "x").exists()


def test_a_run_without_artifacts_says_so(sparki: Program, stand_in: StandIn) -> None:
    stand_in.on("GET", "/v1/runs/latest/artifacts", answers({"run": "r-1", "artifacts": []}))
    done = sparki("artifacts", "latest")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "run r-1 has no artifacts\n")


@pytest.mark.parametrize(("count", "words"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (5 * 1024**3, "5.0 GiB")])
def test_a_size_is_short(count: int, words: str) -> None:
    assert size(count) == words

"""actions/upload-artifact and actions/download-artifact as jobs use them."""

from __future__ import annotations

import pytest
from driver import Done, Driver, step

from sparki_daemon.runner.actions.download_artifact import alternatives, fits

MAKE = "mkdir -p out/deep .cfg; echo one > out/a.txt; echo two > out/deep/b.txt; echo no > out/c.log; echo h > out/.env; echo x > top.txt"


def inputs_of(**inputs: str) -> dict[str, str]:
    return {name.replace("_", "-"): text for name, text in inputs.items()}


def upload(path: str, **inputs: str) -> dict:
    return step(uses="actions/upload-artifact@v4", id="up", inputs=inputs_of(path=path, **inputs))


def download(**inputs: str) -> dict:
    return step(uses="actions/download-artifact@v5", id="down", inputs=inputs_of(**inputs))


def files(done: Done, index: int) -> list[str]:
    return done.text(index).splitlines()[1:]


LIST = "find . -type f | LC_ALL=C sort"


def test_one_job_keeps_files_and_another_gets_them(runner: Driver) -> None:
    first = runner.do(MAKE, upload("out", name="build"), "echo ${{ steps.up.outputs.artifact-id }} ${{ steps.up.outputs.artifact-digest }}")
    second = runner.do(download(name="build"), LIST, "cat a.txt", "test ${{ steps.down.outputs.download-path }} = $GITHUB_WORKSPACE")

    assert (first.end["result"], second.end["result"]) == ("success", "success")
    assert files(second, 1) == ["./a.txt", "./c.log", "./deep/b.txt"]
    assert files(second, 2) == ["one"]
    ident, digest = files(first, 2)[0].split()
    assert ident.isdigit()
    assert len(digest) == 64


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("top.txt", ["./top.txt"]),
        ("out/deep/b.txt", ["./b.txt"]),
        ("out/**/*.txt", ["./a.txt", "./deep/b.txt"]),
        ("out\n!out/**/*.log", ["./a.txt", "./deep/b.txt"]),
        ("out/deep\ntop.txt", ["./out/deep/b.txt", "./top.txt"]),
        ("out/a.txt\nout/deep/b.txt", ["./a.txt", "./deep/b.txt"]),
    ],
)
def test_an_artifact_begins_where_its_paths_part(runner: Driver, path: str, kept: list[str]) -> None:
    done = runner.do(MAKE, upload(path), "rm -rf *", download(name="artifact"), LIST.replace(".", "*", 1))

    assert files(done, 4) == [name.removeprefix("./") for name in kept]


def test_hidden_files_are_left_out_unless_they_are_wanted(runner: Driver) -> None:
    done = runner.do(MAKE, upload("out", name="a", include_hidden_files="true"), upload("out/.env", name="b", if_no_files_found="error"))

    assert "Kept 4 files" in done.text(1)
    assert done.conclusions == ["success", "success", "failure"]
    assert "no file was found with the path out/.env" in done.text(2)


def test_no_files_warn_fail_or_say_so(runner: Driver) -> None:
    wanted = [upload("none", if_no_files_found=word) for word in ("warn", "ignore", "error", "what")]
    done = runner.do(*[{**one, "id": f"s{index}", "condition": step("", if_="always()")["condition"]} for index, one in enumerate(wanted)])

    assert done.conclusions == ["success", "success", "failure", "failure"]
    assert [[one["level"] for one in record["annotations"]] for record in done.steps] == [["warning"], [], ["error"], ["error"]]


def test_a_name_is_taken_once_unless_it_is_overwritten(runner: Driver) -> None:
    done = runner.do(MAKE, upload("top.txt"), {**upload("out"), "id": "again"})
    assert done.conclusions == ["success", "success", "failure"]
    assert "this run has an artifact 'artifact' already" in done.log

    assert runner.do(MAKE, upload("out", overwrite="true"), download(path="in"), "ls in/artifact").text(3).endswith("a.txt\nc.log\ndeep\n")


@pytest.mark.parametrize("name", ["a/b", 'a"b', "a:b", "a*b"])
def test_a_name_that_github_refuses_is_refused(runner: Driver, name: str) -> None:
    done = runner.do("echo > x", upload("x", name=name))

    assert done.conclusions == ["success", "failure"]
    assert "an artifact's name can't have the character" in done.log


def test_all_artifacts_come_each_in_a_folder_or_merged_or_by_pattern(runner: Driver) -> None:
    runner.do(
        "echo 1 > x; echo 2 > y; echo 3 > z",
        upload("x", name="b-x"),
        {**upload("y", name="b-y"), "id": "y"},
        {**upload("z", name="z"), "id": "z"},
    )
    done = runner.do(
        {**download(), "id": "a"},
        LIST,
        {**download(path="one", pattern="b-*", merge_multiple="true"), "id": "b"},
        "ls one",
        {**download(path="two", pattern="{b-x,z}"), "id": "c"},
        "ls two",
        {**download(path="none", pattern="q*"), "id": "d"},
    )

    assert done.end["result"] == "success"
    assert files(done, 1) == ["./b-x/x", "./b-y/y", "./z/z"]
    assert files(done, 3) == ["x", "y"]
    assert files(done, 5) == ["b-x", "z"]


def test_artifacts_are_found_by_their_ids(runner: Driver) -> None:
    first = runner.do("echo 1 > x", upload("x", name="one"), "echo ${{ steps.up.outputs.artifact-id }}")
    ident = files(first, 2)[0]
    done = runner.do({**download(artifact_ids=ident), "id": "a"}, "ls", {**download(artifact_ids="7"), "id": "b"})

    assert files(done, 1) == ["x"]
    assert "this run has no artifact with the id 7; it has 'one'" in done.log


def test_what_is_not_there_fails_and_names_what_is(runner: Driver) -> None:
    runner.do("echo 1 > x", upload("x", name="one"))
    done = runner.do(
        {**download(name="two"), "condition": step("", if_="always()")["condition"]},
        {**download(run_id="77", name="one"), "id": "b", "condition": step("", if_="always()")["condition"]},
        {**download(repository="other/one"), "id": "c", "condition": step("", if_="always()")["condition"]},
    )

    assert done.conclusions == ["failure"] * 3
    assert "this run has no artifact 'two'; it has 'one'" in done.text(0)
    assert "artifacts of run 77 can't be had" in done.text(1)
    assert "artifacts of other/one are not on this machine" in done.text(2)


def test_a_damaged_artifact_is_told(runner: Driver) -> None:
    runner.do("echo 1 > x", upload("x", name="one"))
    for path in (runner.home / "artifacts").rglob("x"):
        path.write_text("2\n")
    done = runner.do(download(name="one"))

    assert done.conclusions == ["failure"]
    assert "'x' is not what was kept" in done.log


@pytest.mark.parametrize(
    ("pattern", "name", "fit"),
    [("*", "a.b", True), ("*", ".a", False), (".*", ".a", True), ("a-{b,c}", "a-c", True), ("a-{b,c}", "a-d", False), ("{x}", "{x}", True)],
)
def test_a_pattern_fits_names_as_githubs_do(pattern: str, name: str, fit: bool) -> None:
    assert any(fits(name, one) for one in alternatives(pattern)) is fit

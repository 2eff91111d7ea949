"""`sparki bind`: what is pushed is run exactly as it was pushed, and deployed when green and when the commit's sparki.yml says so."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from bound import CI, RULES, BoundShop, head

SHOWS_EVENT = CI + "      - run: echo \"EVENT $(tr -d '\\n' < $GITHUB_EVENT_PATH)\"\n"


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[BoundShop]:
    made = BoundShop(tmp_path)
    yield made
    made.end()


def test_a_push_runs_and_goes_live_and_says_so_in_its_own_output(shop: BoundShop) -> None:
    said = shop.push("sparki", "main")

    (run,), (deployment,) = shop.runs(), shop.deployments()
    assert (run["status"], run["source"]["commit"], run["source"]["branch"]) == ("success", head(shop), "main")
    assert (deployment["status"], deployment["commit"], deployment["run"]) == ("live", head(shop), run["id"])
    for line in (
        f"main: .github/workflows/ci.yml is {run['id']}",
        "/ test: success",
        "✓ wait until the new release is healthy",
        "is live in staging",
    ):
        assert line in said
    assert shop.json("show", run["id"])["deployments"] == [deployment["id"]]
    assert shop.json("show", deployment["id"])["run"] == run["id"]


def test_what_runs_and_ships_is_the_pushed_commit_and_not_the_working_tree(shop: BoundShop) -> None:
    shop.write("app.txt", "not committed\n")
    shop.write("broken", "")

    shop.push("sparki", "main")

    (run,) = shop.runs()
    assert "one" in shop.sparki("logs", run["id"])
    (shipped,) = shop.home.glob("environments/*/staging/v-*/app.txt")
    assert shipped.read_text() == "one\n"
    assert shop.json("show", run["id"])["source"]["dirty"] is False


def test_a_red_push_is_kept_and_not_deployed(shop: BoundShop) -> None:
    shop.push("sparki", "main")
    live = shop.platform()["traffic"]
    shop.write("broken", "")
    commit = shop.commit("break it")

    said = shop.push("sparki", "main")

    assert "sparki logs r-" in said
    assert "what served before serves on" in said
    assert shop.platform()["traffic"] == live
    assert shop.deployments()[0]["status"] == "failed"
    assert subprocess.run(["git", "rev-parse", "main"], cwd=shop.bare, capture_output=True, text=True, check=True).stdout.strip() == commit


def test_the_event_has_before_after_and_exactly_the_new_commits(shop: BoundShop) -> None:
    shop.write(".github/workflows/ci.yml", SHOWS_EVENT)
    first = shop.commit("show the event")
    shop.push("sparki", "main")
    event = shop.event(shop.runs()[0]["id"])
    assert (event["before"], event["created"], event["after"]) == ("0" * 40, True, first)
    assert [one["message"] for one in event["commits"]] == ["first", "pipelines", "show the event"]

    shop.write("app.txt", "two\n")
    shop.commit("two")
    shop.write("app.txt", "three\n")
    third = shop.commit("three")
    shop.push("sparki", "main")

    event = shop.event(shop.runs()[0]["id"])
    assert (event["before"], event["after"], event["ref"], event["forced"]) == (first, third, "refs/heads/main", False)
    assert [one["message"] for one in event["commits"]] == ["two", "three"]


def test_a_force_push_back_has_no_new_commits_and_runs_what_it_went_to(shop: BoundShop) -> None:
    shop.write(".github/workflows/ci.yml", SHOWS_EVENT)
    first = shop.commit("show the event")
    shop.write("app.txt", "two\n")
    second = shop.commit("two")
    shop.push("sparki", "main")

    shop.push("--force", "sparki", f"{first}:main")

    run = shop.runs()[0]
    event = shop.event(run["id"])
    assert (event["before"], event["after"], event["forced"], event["commits"]) == (second, first, True, [])
    assert run["source"]["commit"] == first


def test_paths_are_those_of_what_was_really_pushed(shop: BoundShop) -> None:
    shop.write(".github/workflows/docs.yml", CI.replace("on: push", "on: {push: {paths: ['docs/**']}}").replace("test:", "docs:"))
    shop.write("sparki.yml", RULES.replace("run: [ci], deploy", "deploy"))
    shop.write("docs/a", "")
    shop.commit("docs")
    shop.push("sparki", "main")
    assert {run["file"] for run in shop.runs()} == {".github/workflows/ci.yml", ".github/workflows/docs.yml"}
    (deployment,) = shop.deployments()  # waits for both, and both lead to it
    assert [shop.json("show", run["id"])["deployments"] for run in shop.runs()] == [[deployment["id"]]] * 2

    shop.write("docs/b", "")
    shop.commit("docs, and then something else")
    shop.write("app.txt", "two\n")
    shop.commit("something else")
    shop.push("sparki", "main")
    assert len(shop.runs()) == 4  # both commits count

    shop.write("app.txt", "three\n")
    shop.commit("no docs")
    shop.push("sparki", "main")
    assert [run["file"] for run in shop.runs()[:-4]] == [".github/workflows/ci.yml"]


def test_a_workflow_with_an_error_is_told_with_its_place_and_the_push_is_kept(shop: BoundShop) -> None:
    shop.write(".github/workflows/ci.yml", CI.replace("steps:", "stepz:"))
    commit = shop.commit("wrong")

    said = shop.push("sparki", "main")

    assert "--> .github/workflows/ci.yml:6:5" in said
    assert "main is pushed; nothing is run, and nothing deployed" in said
    assert shop.runs() == shop.deployments() == []
    assert head(shop, "sparki/main") == commit


def test_settings_with_an_error_are_told_with_their_place(shop: BoundShop) -> None:
    shop.write("sparki.yml", RULES.replace("deploy: staging", "deploy: stagin"))
    shop.commit("wrong")

    said = shop.push("sparki", "main")

    assert "--> sparki.yml:7:29" in said
    assert shop.runs() == []


def test_a_rule_that_runs_what_is_not_there_is_told_with_its_place_with_pipelines_and_without_any(shop: BoundShop) -> None:
    shop.write("sparki.yml", "branches:\n  main: {run: [cii]}\n")
    shop.commit("rule")

    said = shop.push("sparki", "main")

    assert "no pipeline is called 'cii'" in said
    assert "sparki.yml:2:15" in said
    shutil.rmtree(shop.root / ".github")
    shop.commit("no pipelines")
    said = shop.push("sparki", "main")
    assert "sparki.yml:2:15" in said
    assert "this repository has no pipelines" in said


def test_tags_deletions_and_several_refs_in_one_push(shop: BoundShop) -> None:
    shop.git("tag", "-a", "v1", "-m", "one")
    shop.git("branch", "side")

    said = shop.push("sparki", "main", "side", "v1")

    assert len(shop.runs()) == 3
    assert [one["environment"] for one in shop.deployments()] == ["staging"]
    assert {run["source"]["branch"] for run in shop.runs()} == {"main", "side", None}
    assert "v1: .github/workflows/ci.yml is r-" in said
    said = shop.push("sparki", ":side", ":v1")
    assert "side: nothing is run: it was deleted" in said
    assert len(shop.runs()) == 3


def test_push_options_skip_and_queue_and_a_wrong_one_runs_nothing(shop: BoundShop) -> None:
    said = shop.push("-o", "sparki.skip", "sparki", "main")
    assert "main: skipped, as sparki.skip asks" in said
    said = shop.push("-o", "sparki.skp", "sparki", "main:side")
    assert "did you mean 'sparki.skip'?" in said
    assert shop.runs() == []

    said = shop.push("-o", "sparki.queue", "sparki", "main:main2")
    (run,) = shop.runs()
    assert run["id"] in said
    assert "success" not in said


def test_a_commit_that_asks_to_be_skipped_is(shop: BoundShop) -> None:
    shop.write("app.txt", "two\n")
    shop.commit("two [skip ci]")

    assert "the commit's message asks to skip it" in shop.push("sparki", "main")
    assert shop.runs() == []


def test_names_that_are_no_utf8_are_pushed_and_run(shop: BoundShop) -> None:
    name = os.fsdecode(b"caf\xe9")
    shop.write(name, "")
    shop.commit("a name of bytes")
    shop.git("branch", name)

    shop.push("sparki", name)

    (run,) = shop.runs()
    assert run["status"] == "success"


def test_gits_own_variables_do_not_reach_a_job(shop: BoundShop) -> None:
    shop.write(
        ".github/workflows/ci.yml", CI + "      - run: \"! env | grep -E '^GIT_(DIR|QUARANTINE_PATH|PUSH_OPTION|EXEC_PATH|PREFIX)'\"\n"
    )
    shop.commit("look")

    assert "success" in shop.push("-o", "hello=1", "sparki", "main")


def test_a_repository_without_rules_runs_and_deploys_nothing(shop: BoundShop) -> None:
    (shop.root / "sparki.yml").unlink()
    shop.commit("no rules")

    said = shop.push("sparki", "main")

    assert [run["status"] for run in shop.runs()] == ["success"]
    assert shop.deployments() == []
    assert "green" not in said


def test_github_repository_is_what_it_is_without_the_bind(shop: BoundShop) -> None:
    shop.git("remote", "add", "origin", "git@github.com:ann/shop.git")
    shop.write(".github/workflows/ci.yml", SHOWS_EVENT)
    shop.commit("show the event")
    shop.push("-u", "sparki", "main")

    event = shop.event(shop.runs()[0]["id"])

    assert event["repository"]["full_name"] == "ann/shop"
    assert json.loads(shop.sparki("run", "--plan", "--json"))["source"]["commit"] == head(shop)


def test_a_push_does_not_wait_for_people(shop: BoundShop) -> None:
    shop.write("sparki.yml", RULES.replace("command: serve", "command: serve\n    approvals: {count: 1}"))
    shop.commit("ask first")

    said = shop.push("sparki", "main")

    (deployment,) = shop.deployments()
    assert f"waits for 1 approval (sparki approve): {deployment['id']} goes on (waiting)" in said
    shop.sparki("approve", deployment["id"])
    assert shop.wait_for(deployment["id"], "live")


def test_a_pipeline_that_is_in_the_working_tree_alone_is_not_run(shop: BoundShop) -> None:
    shop.write("sparki.yml", RULES.replace("run: [ci]", "run: [.github/workflows/new.yml]"))
    shop.commit("name one that is not committed")
    shop.write(".github/workflows/new.yml", CI)

    said = shop.push("sparki", "main")

    assert "error: " in said
    assert shop.runs() == []


def test_a_newer_push_replaces_a_deployment_that_has_not_begun(shop: BoundShop) -> None:
    gate = shop.home / "gate"
    shop.write(".github/workflows/ci.yml", CI + f"      - run: until [ -e {gate} ]; do sleep 0.05; done\n")
    shop.commit("slow")
    shop.push("-o", "sparki.queue", "sparki", "main")
    shop.write(".github/workflows/ci.yml", CI)
    shop.commit("quick")

    shop.push("sparki", "main")
    gate.touch()

    newer, older = shop.deployments()
    assert (newer["status"], older["status"]) == ("live", "cancelled")
    assert older["reason"] == f"superseded by {newer['id']}"


def test_a_state_folder_with_an_odd_name_and_another_shell_work(tmp_path: Path) -> None:
    shop = BoundShop(tmp_path / 'it\'s a "home" $HOME')
    try:
        shop.more = {"SPARKI_HOME": str(tmp_path / "another")}  # of the shell that pushes
        shop.push("sparki", "main")
        shop.more = {}

        assert shop.deployments()[0]["status"] == "live"
        assert not (tmp_path / "another").exists()
    finally:
        shop.end()

"""Deployments through the real command and daemon, on an adapter that another package brings."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from shop import SETTINGS, SPARKI, Shop

PIPELINE = """
jobs:
  build:
    steps:
      - run: mkdir out; cp app.txt out/app.txt; echo built >> out/app.txt
      - uses: actions/upload-artifact@v4
        with: {name: site, path: out/app.txt}
"""


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    made = Shop(tmp_path)
    yield made
    made.end()


def test_a_commit_goes_live_and_is_traced_both_ways(shop: Shop) -> None:
    commit = shop.git("rev-parse", "HEAD")

    told = shop.sparki("deploy", "staging")

    assert "is live in staging" in told.splitlines()[-1]
    (deployment,) = shop.json("deployments")["deployments"]
    assert (deployment["status"], deployment["commit"], deployment["environment"]) == ("live", commit, "staging")
    shown = shop.json("env", "show", "staging")
    assert (shown["live"]["release"], shown["live"]["healthy"], shown["drift"]) == (deployment["release"], True, [])
    (release,) = shop.json("releases", "staging")["releases"]
    assert (release["live"], release["tree"]) == (True, shop.git("rev-parse", "HEAD^{tree}"))
    assert shop.platform()["traffic"] == deployment["release"]


def test_uncommitted_changes_are_told_and_not_shipped(shop: Shop) -> None:
    shop.write("app.txt", "two\n")

    done = subprocess.run(
        [*SPARKI, "deploy", "staging"], cwd=shop.root, env=shop.environ, capture_output=True, text=True, timeout=60, check=True
    )

    assert "note: uncommitted changes are not shipped: app.txt" in done.stderr
    (shipped,) = shop.home.glob("environments/*/staging/v-*/app.txt")
    assert shipped.read_text() == "one\n"


def test_a_release_has_the_commits_bytes_whatever_its_attributes_say(shop: Shop) -> None:
    shop.write(".gitattributes", "secret.txt export-ignore\n*.txt text eol=crlf\nsubst.txt export-subst\n")
    shop.write("secret.txt", "here\n")
    shop.write("subst.txt", "$Format:%H$\n")
    (shop.root / "run.sh").write_text("#!/bin/sh\n")
    (shop.root / "run.sh").chmod(0o755)
    (shop.root / "link").symlink_to("app.txt")
    shop.commit("attributes")

    shop.sparki("deploy", "staging")

    (folder,) = shop.home.glob("environments/*/staging/v-*")
    assert (folder / "secret.txt").read_bytes() == b"here\n"
    assert (folder / "subst.txt").read_bytes() == b"$Format:%H$\n"
    assert (folder / "run.sh").stat().st_mode & 0o111
    assert os.readlink(folder / "link") == "app.txt"


def test_a_failed_step_leaves_what_was_live_and_says_why(shop: Shop) -> None:
    shop.sparki("deploy", "staging")
    first = shop.platform()["traffic"]
    shop.write("sparki.yml", SETTINGS + "    twin: {fails: [health]}\n")
    shop.commit("broken")

    told = shop.sparki("deploy", "staging", code=1)
    assert "│ health: begins\n" in told
    assert "did not go live" in told
    last = shop.json("deploy", "staging", code=1)

    assert (last["kind"], last["data"]["status"], last["data"]["reason"]) == ("deployment.finished", "failed", "health does not work")
    assert set(last["data"]) >= {"deployment", "environment", "release", "status"}
    assert shop.platform()["traffic"] == first
    assert list(shop.platform()["running"]) == [first]


def test_a_bad_release_is_reverted_and_rollback_brings_back_what_was_before(shop: Shop) -> None:
    shop.sparki("deploy", "staging")
    first = shop.platform()["traffic"]
    shop.write("sparki.yml", SETTINGS + "    twin: {fails: [watch]}\n")
    shop.commit("bad under traffic")
    assert "was taken back" in shop.sparki("deploy", "staging", code=1)
    assert shop.json("deployments")["deployments"][0]["status"] == "reverted"
    assert shop.json("rollback", "staging", "2", code=5)["error"]["code"] == "never_live"

    shop.write("sparki.yml", SETTINGS)
    shop.write("app.txt", "two\n")
    shop.commit("good")
    shop.sparki("deploy", "staging")
    assert shop.platform()["traffic"] != first

    shop.sparki("rollback", "staging")
    assert shop.platform()["traffic"] == first
    assert shop.json("deployments")["deployments"][0]["kind"] == "rollback"


def test_a_rollback_survives_the_users_garbage_collection(shop: Shop) -> None:
    shop.sparki("deploy", "staging")
    first = shop.platform()["traffic"]
    shop.write("app.txt", "two\n")
    shop.git("checkout", "-q", "--orphan", "fresh")
    shop.commit("history begins anew")
    shop.git("branch", "-D", "main")
    shop.git("reflog", "expire", "--expire=now", "--all")
    shop.git("gc", "-q", "--prune=now")
    assert shop.json("promote", "staging", "staging", code=5)["error"]["code"] == "commit_gone"
    shop.sparki("deploy", "staging")

    shop.sparki("rollback", "staging")

    assert shop.platform()["traffic"] == first


def test_ctrl_c_and_a_limit_stop_the_watching_only(shop: Shop) -> None:
    shop.write("sparki.yml", SETTINGS + "    twin: {hangs: [health]}\n")
    shop.commit("slow")
    told = shop.sparki("deploy", "staging", "--wait", "500ms", code=7)
    (deployment,) = shop.json("deployments")["deployments"]
    assert f"To end it: sparki cancel {deployment['id']}" in told
    shop.wait_for(deployment["id"], "running", step="health")

    assert "is being cancelled: it has not switched, so there is nothing to keep" in shop.sparki("cancel", deployment["id"], "--keep")
    assert shop.wait_for(deployment["id"], "cancelled")["steps"][4]["status"] == "undone"

    watching = subprocess.Popen(
        [*SPARKI, "deploy", "staging"], cwd=shop.root, env=shop.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert watching.stdout is not None
    assert any("bring the artifact" in line for line in watching.stdout)
    watching.send_signal(signal.SIGINT)
    assert watching.wait(20) == 7
    watching.communicate()
    assert shop.json("deployments")["deployments"][0]["status"] == "running"


def test_a_newer_deployment_that_waits_replaces_an_older_one(shop: Shop) -> None:
    shop.write("sparki.yml", SETTINGS + "    approvals: {count: 1}\n")
    shop.commit("asks first")
    first = shop.json("deploy", "staging", "--detach")["deployment"]
    second = shop.json("deploy", "staging", "--detach")["deployment"]

    assert shop.json("show", first)["reason"] == f"superseded by {second}"
    assert shop.wait_for(second, "waiting")["waits"][0]["for"] == "approval"
    assert shop.json("daemon", "status")["queues"] == {"builds": 0, "deployments": 1}
    shop.sparki("approve", second)
    assert shop.wait_for(second, "live")["approvals"]
    assert shop.json("daemon", "status")["queues"]["deployments"] == 0


def test_the_author_may_not_approve_where_the_settings_say_so(shop: Shop) -> None:
    shop.write("sparki.yml", SETTINGS + "    approvals: {count: 1, not_author: true}\n")
    shop.commit("asks others")
    made = shop.json("deploy", "staging", "--detach")["deployment"]

    assert shop.json("approve", made, code=4)["error"]["code"] == "own_deployment"


def test_a_plan_tells_commits_and_variables_and_touches_nothing(shop: Shop) -> None:
    shop.sparki("deploy", "staging")
    shop.write("sparki.yml", SETTINGS.replace("LEVEL: info", "LEVEL: debug, MORE: x"))
    shop.commit("louder")

    plan = shop.json("deploy", "staging", "--plan")

    assert [commit["subject"] for commit in plan["commits"]] == ["louder"]
    assert plan["variables"] == {"added": ["MORE"], "changed": ["LEVEL"], "removed": []}
    assert "debug" not in json.dumps(plan)
    assert [step["name"] for step in plan["steps"]][:3] == ["lock", "prepare", "ship"]
    assert plan["usual_ms"] is not None
    assert len(shop.json("deployments")["deployments"]) == 1


def test_an_artifact_of_a_run_is_made_first_and_deployed_when_it_is_green(shop: Shop) -> None:
    shop.write("sparki.yml", SETTINGS + "    artifact: build/site\n")
    shop.write(".sparki/pipelines/ci.yml", PIPELINE)
    shop.commit("built")

    shop.sparki("deploy", "staging")

    (deployment,) = shop.json("deployments")["deployments"]
    (run,) = shop.json("runs")["runs"]
    assert (deployment["status"], deployment["run"], run["status"]) == ("live", run["id"], "success")
    (shipped,) = shop.home.glob("environments/*/staging/v-*/app.txt")
    assert shipped.read_text() == "one\nbuilt\n"

    shop.sparki("deploy", "staging")  # a green run of that tree is there
    assert len(shop.json("runs")["runs"]) == 1


def test_a_red_run_ends_the_deployment_that_waited_for_it(shop: Shop) -> None:
    shop.write("sparki.yml", SETTINGS + "    artifact: build/site\n")
    shop.write(".sparki/pipelines/ci.yml", "jobs: {build: {steps: ['exit 1']}}\n")
    shop.commit("broken build")

    last = shop.json("deploy", "staging", code=1)

    assert last["data"]["status"] == "failed"
    assert "ended: failure" in last["data"]["reason"]


@pytest.mark.parametrize(
    ("settings", "words", "code", "error"),
    [
        (SETTINGS, ["deploy", "stagin"], 5, "unknown_environment"),
        (SETTINGS.replace("twin", "heroku"), ["deploy", "staging"], 2, "unknown_adapter"),
        (SETTINGS.replace("    command: serve\n", ""), ["deploy", "staging"], 2, "missing_key"),
        (SETTINGS + "    secrets: [TOKEN]\n", ["deploy", "staging"], 2, "secret_not_set"),
        (SETTINGS + "    strategy: canary\n", ["deploy", "staging"], 2, "strategy_unsupported"),
        (SETTINGS + "    branches: [release]\n", ["deploy", "staging"], 4, "branch_not_allowed"),
        (SETTINGS + "    artifact: build/site\n", ["deploy", "staging"], 2, "unknown_job"),
        (SETTINGS, ["deploy", "staging", "--ref", "nowhere"], 5, "no_such_revision"),
        (SETTINGS, ["deploy", "staging", "--release", "7"], 5, "no_such_release"),
        (SETTINGS, ["deploy", "staging", "--wait", "soon"], 2, "usage"),
        (SETTINGS, ["rollback", "staging"], 5, "nothing_live"),
        (SETTINGS, ["promote", "staging", "production"], 5, "nothing_live"),
        (SETTINGS, ["releases", "staging"], 5, "no_such_environment"),
        (SETTINGS, ["show", "d-0000"], 5, "no_such_deployment"),
        (SETTINGS, ["resolve", "d-0000"], 2, "usage"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_starts(shop: Shop, settings: str, words: list[str], code: int, error: str) -> None:
    shop.write("sparki.yml", settings)
    shop.write(".sparki/pipelines/ci.yml", "jobs: {test: {steps: ['true']}}\n")
    shop.commit("settings")

    assert shop.json(*words, code=code)["error"]["code"] == error
    assert shop.json("deployments")["deployments"] == []


def test_an_environment_that_is_not_committed_is_told_with_its_place(shop: Shop) -> None:
    shop.write("sparki.yml", SETTINGS + "  production: {adapter: twin, command: serve}\n")

    error = shop.json("deploy", "production", code=5)["error"]

    assert (error["code"], error["file"], error["line"]) == ("environment_not_committed", "sparki.yml", 7)
    assert "git commit" in error["hint"]


def test_what_is_live_is_promoted_with_the_other_environments_settings(shop: Shop) -> None:
    shop.write("sparki.yml", SETTINGS + "  production: {adapter: twin, command: serve loudly}\n")
    shop.commit("two environments")
    shop.sparki("deploy", "staging")

    shop.sparki("promote", "staging", "production")

    staging, production = (shop.json("releases", name)["releases"][0] for name in ("staging", "production"))
    assert staging["artifact"] == production["artifact"]
    assert staging["settings_digest"] != production["settings_digest"]


def test_a_deployment_survives_the_death_of_loco_and_engine(shop: Shop) -> None:
    shop.write("sparki.yml", SETTINGS + "    twin: {hangs: [health]}\n")
    shop.commit("slow")
    made = shop.json("deploy", "staging", "--detach")["deployment"]
    shop.wait_for(made, "running")
    processes = shop.json("daemon", "status")["processes"]
    for name in ("engine", "loco"):
        os.kill(processes[name]["pid"], signal.SIGKILL)

    shop.sparki("cancel", made)

    assert shop.wait_for(made, "cancelled")
    assert shop.platform()["running"] == {}
    assert len(shop.platform()["starts"]) == 1


def test_the_service_is_looked_at_commanded_and_ended(shop: Shop) -> None:
    shop.sparki("deploy", "staging")
    release = shop.platform()["traffic"]

    assert shop.sparki("env", "logs", "staging") == f"{release} says hello\n"
    assert shop.sparki("env", "exec", "staging", "--", "ls", "-la", code=3) == "ls -la\n"
    assert shop.json("env", "maintenance", "staging", "on")["maintenance"] is True
    assert shop.platform()["maintenance"] is True
    assert "--yes" in shop.sparki("env", "down", "staging", code=2)
    assert shop.json("env", "down", "staging", "--yes")["live"] is None
    assert shop.json("releases", "staging")["releases"][0]["pruned"] is False


def test_people_are_told_of_ends_and_old_releases_go(shop: Shop, tmp_path: Path) -> None:
    told = tmp_path / "told"
    notify = f"notify: [{{on: [live, reverted], command: 'echo \"$SPARKI_STATUS $SPARKI_ENVIRONMENT: $SPARKI_SUMMARY\" >> {told}'}}]\n"
    shop.write("sparki.yml", SETTINGS + "    keep_releases: 2\n" + notify)  # once: it is read whenever somebody is to be told
    for number in range(1, 4):
        shop.write("app.txt", f"{number}\n")
        shop.commit(f"number {number}")
        shop.sparki("deploy", "staging")

    def gone() -> list[bool]:
        return [one["pruned"] for one in shop.json("releases", "staging")["releases"]]

    deadline = time.monotonic() + 20
    while (gone() != [False, False, True] or len(told.read_text().splitlines()) < 3) and time.monotonic() < deadline:
        time.sleep(0.05)

    assert gone() == [False, False, True]
    assert len(list((shop.home / "releases").glob("*.tar"))) == 2
    assert [line.split(" (")[0] for line in told.read_text().splitlines()] == [f"live staging: release {n}" for n in (1, 2, 3)]
    assert len(shop.platform()["forgotten"]) == 1
    assert shop.json("rollback", "staging", "1", code=5)["error"]["code"] == "release_pruned"


def test_what_can_not_be_told_is_left_to_a_person(shop: Shop) -> None:
    shop.sparki("deploy", "staging")
    first = shop.platform()["traffic"]
    shop.write("sparki.yml", SETTINGS + "    release_command: migrate\n    twin: {hangs: [release_command], unclear: true}\n")
    shop.commit("migrates")
    made = shop.json("deploy", "staging", "--detach")["deployment"]
    deadline = time.monotonic() + 20
    while shop.json("show", made)["step"] != "release_command" and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(shop.json("daemon", "status")["processes"]["loco"]["pid"], signal.SIGKILL)

    shown = shop.wait_for(made, "unknown")

    assert shown["steps"][3]["status"] == "unknown"
    assert shop.json("cancel", made, code=6)["error"]["code"] == "deployment_unknown"
    assert shop.json("deploy", "staging", "--detach")["deployment"]  # it waits for the target, which the unknown one keeps
    assert shop.json("env", "show", "staging")["deploying"] == made
    assert shop.json("resolve", made, "--failed")["status"] == "failed"
    assert shop.platform()["traffic"] == first


def test_a_deployment_that_waits_for_its_run_outlives_the_engine(shop: Shop) -> None:
    shop.write("sparki.yml", SETTINGS + "    artifact: build/site\n")
    shop.write(".sparki/pipelines/ci.yml", PIPELINE.replace("mkdir out", "sleep 1; mkdir out"))
    shop.commit("built slowly")
    made = shop.json("deploy", "staging", "--detach")
    os.kill(shop.json("daemon", "status")["processes"]["engine"]["pid"], signal.SIGKILL)

    shown = shop.wait_for(made["deployment"], "live", "failed")

    assert (shown["status"], shown["release"]) == ("live", made["release"])
    assert len(shop.json("deployments")["deployments"]) == len(shop.json("releases", "staging")["releases"]) == 1
    assert shop.platform()["starts"] == [[made["deployment"], made["release"]]]
    assert shop.json("show", shown["run"])["deployments"] == [made["deployment"]]


def test_one_environment_comes_after_another_and_a_freeze_is_passed_over_with_a_reason(shop: Shop) -> None:
    always = "[{from: 'Mon 00:00', to: 'Sun 23:59', zone: UTC}, {from: 'Sun 23:00', to: 'Mon 01:00', zone: UTC}]"
    shop.write("sparki.yml", f"{SETTINGS}  production: {{adapter: twin, command: serve, after: staging, freeze: {always}}}\n")
    shop.commit("two environments")
    plan = shop.json("deploy", "production", "--plan")
    assert [wait["for"] for wait in plan["waits"]] == ["environment", "freeze"]

    made = shop.json("deploy", "production", "--detach", "--override", "it burns")["deployment"]
    assert [wait["for"] for wait in shop.wait_for(made, "waiting")["waits"]] == ["environment"]
    shop.sparki("deploy", "staging")

    assert shop.wait_for(made, "live")["override"] == "it burns"


def test_the_daemon_is_not_stopped_under_a_deployment(shop: Shop) -> None:
    shop.write("sparki.yml", SETTINGS + "    twin: {hangs: [health]}\n")
    shop.commit("slow")
    made = shop.json("deploy", "staging", "--detach")["deployment"]
    shop.wait_for(made, "running")

    assert shop.json("daemon", "stop", code=1)["error"]["code"] == "deployments_active"

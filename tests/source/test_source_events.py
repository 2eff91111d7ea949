"""The payloads of events, made up from a repository, and given ones laid over them."""

from __future__ import annotations

import json

import pytest

from sparki_daemon.source.changed import base_sha, changed_paths
from sparki_daemon.source.events import merged, payload
from sparki_daemon.source.facts import facts
from sparki_daemon.source.github_context import github_context
from sparki_daemon.source.push import push_of
from sparki_daemon.source.snapshot import at_revision


@pytest.fixture
def cloned(repo):
    """`repo` on a branch `topic`, one commit ahead of the remote's `main`."""
    repo.git("remote", "add", "origin", "https://github.com/ada/engine.git")
    repo.git("update-ref", "refs/remotes/origin/main", "HEAD")
    repo.git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main")
    repo.git("checkout", "-q", "-b", "topic")
    repo.write("src/new.py")
    repo.commit("Add new\n\nBecause.")
    return repo


def known(repo):
    return facts(repo.found(), repo.take())


def context(repo, event, about):
    return github_context(known(repo), event_name=event, event=about, workflow="CI", run_id="1", run_number=1)


def paths(repo, event, given=None):
    found, snapshot = repo.found(), repo.take()
    about = facts(found, snapshot)
    base = base_sha(found, about, about.default_branch) if event == "pull_request" else ""
    made_up = payload(about, event, push=push_of(found, snapshot, about), base_sha=base)
    return changed_paths(found, snapshot, about, merged(made_up, given or {}))


def test_every_event_has_repository_and_sender(cloned):
    for event in ("push", "pull_request", "pull_request_target", "workflow_dispatch", "schedule", "release", "issues"):
        about = payload(known(cloned), event, push=push_of(cloned.found(), cloned.take(), known(cloned)))
        assert about["repository"]["full_name"] == "ada/engine"
        assert about["repository"]["default_branch"] == "main"
        assert about["sender"]["login"] == "Ada Lovelace"
        json.dumps(about)


def test_a_pull_request_is_of_this_branch_to_the_default_branch(cloned):
    about = known(cloned)
    base = base_sha(cloned.found(), about, "main")

    event = payload(about, "pull_request", base_sha=base)
    request = event["pull_request"]

    assert (event["action"], event["number"], request["number"]) == ("opened", 1, 1)
    assert (request["title"], request["body"]) == ("Add new", "Because.")
    assert (request["draft"], request["merged"], request["labels"], request["user"]["login"]) == (False, False, [], "Ada Lovelace")
    assert (request["head"]["ref"], request["head"]["sha"]) == ("topic", cloned.git("rev-parse", "HEAD"))
    assert (request["base"]["ref"], request["base"]["sha"]) == ("main", cloned.git("rev-parse", "origin/main"))
    assert request["head"]["repo"]["full_name"] == request["base"]["repo"]["full_name"] == "ada/engine"


def test_a_pull_request_runs_on_its_merge_ref_and_its_target_on_the_base(cloned):
    event = payload(known(cloned), "pull_request")

    found = context(cloned, "pull_request", event)
    assert (found["ref"], found["ref_name"], found["ref_type"]) == ("refs/pull/1/merge", "1/merge", "branch")
    assert (found["head_ref"], found["base_ref"]) == ("topic", "main")
    target = context(cloned, "pull_request_target", event)
    assert (target["ref"], target["ref_name"]) == ("refs/heads/main", "main")


def test_a_release_is_of_the_tag_that_is_checked_out(cloned):
    cloned.git("tag", "v1.2")
    taken = at_revision(cloned.found(), "v1.2", str(cloned.objects))
    about = facts(cloned.found(), taken)

    event = payload(about, "release")

    assert (event["action"], event["release"]["tag_name"], event["release"]["prerelease"]) == ("published", "v1.2", False)
    found = github_context(about, event_name="release", event=event, workflow="CI", run_id="1", run_number=1)
    assert (found["ref"], found["ref_type"]) == ("refs/tags/v1.2", "tag")


def test_without_a_tag_a_release_has_one_of_no_version(cloned):
    assert payload(known(cloned), "release")["release"]["tag_name"] == "v0.0.0"


def test_a_schedule_says_which_time_table_it_was(cloned):
    event = payload(known(cloned), "schedule", cron="1 2 * * *", workflow_file=".github/workflows/a.yml")

    assert (event["schedule"], event["workflow"]) == ("1 2 * * *", ".github/workflows/a.yml")
    assert context(cloned, "schedule", event)["ref"] == "refs/heads/topic"


def test_a_given_payload_is_laid_over_the_made_up_one_key_by_key():
    made_up = {"a": {"b": 1, "c": [1]}, "d": 1, "e": {"f": 1}}

    assert merged(made_up, {"a": {"c": [], "x": None}, "e": 2}) == {"a": {"b": 1, "c": [], "x": None}, "d": 1, "e": 2}
    assert made_up == {"a": {"b": 1, "c": [1]}, "d": 1, "e": {"f": 1}}


def test_the_sender_of_a_given_payload_is_the_actor(cloned):
    assert context(cloned, "push", {"ref": "refs/heads/x", "sender": {"login": "grace"}})["actor"] == "grace"
    assert context(cloned, "push", {"ref": "refs/heads/x", "sender": {}})["actor"] == "Ada Lovelace"


def test_a_push_changed_what_differs_from_before_it(cloned):
    with cloned.untouched():
        assert paths(cloned, "push") == ("src/new.py",)
    cloned.write("README.md", "uncommitted\n")
    assert paths(cloned, "push") == ("README.md", "src/new.py")


def test_a_given_push_is_compared_with_the_commit_it_names(cloned):
    first = cloned.git("rev-parse", "HEAD~1")
    cloned.git("update-ref", "refs/remotes/origin/topic", "HEAD")
    cloned.write("last.txt")
    cloned.commit("last")

    assert paths(cloned, "push") == ("last.txt",)
    assert paths(cloned, "push", {"before": first}) == ("last.txt", "src/new.py")
    assert paths(cloned, "push", {"before": first, "after": cloned.git("rev-parse", "HEAD~1")}) == ("src/new.py",)


def test_a_new_branch_is_compared_with_where_it_left_the_default_branch(cloned):
    cloned.write("last.txt")
    cloned.commit("last")

    assert paths(cloned, "push", {"before": "0" * 40}) == ("last.txt", "src/new.py")


def test_the_first_push_of_the_default_branch_changed_every_file(repo):
    assert set(paths(repo, "push")) == set(repo.git("ls-files").splitlines())


def test_a_pull_request_changed_what_differs_from_where_it_left_its_base(cloned):
    cloned.git("checkout", "-q", "main")
    cloned.write("upstream.txt")
    cloned.commit("upstream")
    cloned.git("update-ref", "refs/remotes/origin/main", "HEAD")
    cloned.git("checkout", "-q", "topic")

    assert paths(cloned, "pull_request") == ("src/new.py",)


def test_commits_that_are_not_here_leave_the_files_unknown(cloned):
    assert paths(cloned, "push", {"before": "1" * 40}) is None
    assert paths(cloned, "push", {"before": "--output=x"}) is None
    assert paths(cloned, "pull_request", {"pull_request": {"base": {"sha": "1" * 40}}}) is None
    assert paths(cloned, "schedule") is None


def test_names_with_any_bytes_are_told_as_they_are(cloned):
    cloned.git("update-ref", "refs/remotes/origin/topic", "HEAD")
    cloned.write("a\nb é.txt")
    cloned.commit("odd")

    assert paths(cloned, "push") == ("a\nb é.txt",)

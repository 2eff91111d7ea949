from __future__ import annotations

import json

import pytest

from sparki_daemon.source import github_context
from sparki_daemon.source.facts import Commit, Person, facts, parse_commit
from sparki_daemon.source.push import push_of
from sparki_daemon.source.remote import api_url, read_remote, remote_name, remote_url, server_url
from sparki_daemon.source.snapshot import at_revision


@pytest.fixture
def cloned(repo):
    """`repo` with a remote, as a clone has it."""
    repo.git("remote", "add", "origin", "https://ada:token@github.com/ada/engine.git")
    repo.git("update-ref", "refs/remotes/origin/trunk", "HEAD")
    repo.git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/trunk")
    return repo


def known(repo):
    return facts(repo.found(), repo.take())


def pushed(repo):
    taken = repo.take()
    about = facts(repo.found(), taken)
    return github_context.push_event(about, push_of(repo.found(), taken, about))


def context(repo, **more):
    about = known(repo)
    event = more.pop("event", None) or pushed(repo)
    arguments = {"event_name": "push", "workflow": "CI", "run_id": "r-1", "run_number": 7, **more}
    return github_context.github_context(about, event=event, **arguments)


def test_facts_tell_whose_repository_it_is_and_who_runs_it(cloned):
    with cloned.untouched():
        about = known(cloned)

    assert about.repository == "ada/engine"
    assert about.remote.url == "https://github.com/ada/engine.git"
    assert (about.ref, about.branch_name, about.default_branch) == ("refs/heads/main", "main", "trunk")
    assert about.actor == "Ada Lovelace"
    assert about.sha == about.head == cloned.git("rev-parse", "HEAD")
    assert about.commit.message == "one"
    assert about.commit.author.email == "ada@example.org"


def test_facts_of_a_packed_commit_are_read_too(cloned):
    cloned.git("gc", "-q")

    assert known(cloned).commit.message == "one"


def test_facts_of_a_repository_without_remote_or_commit_are_plain(new_repo):
    about = known(new_repo("fresh"))

    assert (about.repository, about.remote.url, about.default_branch) == ("local/fresh", None, "main")
    assert (about.head, about.commit) == (None, Commit())


@pytest.mark.parametrize("branch", ["master", "main"])
def test_without_a_remote_the_default_branch_is_main_or_master(repo, branch):
    repo.git("branch", "-m", branch)
    repo.git("checkout", "-q", "-b", "feature")
    repo.git("pack-refs", "--all")

    assert known(repo).default_branch == branch


def test_a_detached_head_stands_for_the_tag_or_branch_that_is_there(repo):
    repo.git("checkout", "-q", "--detach")
    assert known(repo).ref == "refs/heads/main"
    repo.git("tag", "v1")
    assert known(repo).ref == "refs/tags/v1"
    assert known(repo).branch_name is None
    repo.commit("nameless")
    repo.git("update-ref", "refs/remotes/origin/topic/a", "HEAD")
    assert (known(repo).ref, known(repo).detached) == ("refs/heads/topic/a", False)


def test_a_detached_head_at_which_nothing_is_has_the_default_branch_for_its_ref(repo):
    repo.git("checkout", "-q", "--detach")
    repo.commit("nameless")

    about = known(repo)

    assert (about.ref, about.detached, about.branch_name) == ("refs/heads/main", True, None)
    assert context(repo)["ref_name"] == "main"
    assert pushed(repo)["ref"] == "refs/heads/main"


def test_a_commit_between_branches_has_the_default_branch_for_its_ref(repo):
    repo.git("checkout", "-q", "-b", "side")
    repo.commit("two")
    repo.commit("three")

    about = facts(repo.found(), at_revision(repo.found(), "HEAD~1", str(repo.objects)))

    assert (about.ref, about.detached, about.commit.message) == ("refs/heads/main", True, "two")


def test_facts_of_a_revision_are_that_commits(cloned):
    first = cloned.git("rev-parse", "HEAD")
    cloned.git("tag", "v1")
    cloned.commit("two")

    about = facts(cloned.found(), at_revision(cloned.found(), "v1", str(cloned.objects)))

    assert (about.sha, about.ref, about.commit.message) == (first, "refs/tags/v1", "one")


def test_the_context_has_the_keys_that_workflows_read(cloned):
    found = context(cloned, workflow_file=".github/workflows/ci.yml")

    sha = cloned.git("rev-parse", "HEAD")
    expected = {
        "actor": "Ada Lovelace",
        "base_ref": "",
        "event_name": "push",
        "head_ref": "",
        "ref": "refs/heads/main",
        "ref_name": "main",
        "ref_type": "branch",
        "repository": "ada/engine",
        "repository_owner": "ada",
        "run_attempt": "1",
        "run_id": "r-1",
        "run_number": "7",
        "sha": sha,
        "server_url": "https://github.com",
        "api_url": "https://api.github.com",
        "graphql_url": "https://api.github.com/graphql",
        "token": "",
        "triggering_actor": "Ada Lovelace",
        "workflow": "CI",
        "workflow_ref": "ada/engine/.github/workflows/ci.yml@refs/heads/main",
        "workflow_sha": sha,
    }
    assert {key: found[key] for key in expected} == expected
    assert "token@" not in json.dumps(found)


def test_a_push_is_of_the_commit_at_head_on_top_of_its_parent(cloned):
    first = cloned.git("rev-parse", "HEAD")
    cloned.git("update-ref", "refs/remotes/origin/main", "HEAD")
    cloned.commit("two\n\nwith a body")

    event = pushed(cloned)

    assert (event["before"], event["after"]) == (first, cloned.git("rev-parse", "HEAD"))
    assert event["head_commit"]["message"] == "two\n\nwith a body"
    assert event["head_commit"]["id"] == event["after"]
    assert event["head_commit"]["timestamp"].startswith("20")
    assert event["commits"] == [event["head_commit"]]
    assert (event["created"], event["deleted"], event["forced"]) == (False, False, False)
    about = event["repository"]
    assert (about["full_name"], about["name"], about["default_branch"], about["fork"]) == ("ada/engine", "engine", "trunk", False)
    assert about["owner"]["login"] == "ada"
    assert event["sender"]["login"] == "Ada Lovelace"


def test_a_push_of_the_first_commit_creates_the_branch(cloned):
    event = pushed(cloned)

    assert (event["before"], event["created"]) == ("0" * 40, True)


def test_a_push_of_uncommitted_changes_is_of_our_commit_on_top_of_head(cloned):
    cloned.git("update-ref", "refs/remotes/origin/main", "HEAD")
    cloned.write("README.md", "changed\n")
    taken = cloned.take()

    event = pushed(cloned)

    assert (event["before"], event["after"]) == (taken.head, taken.commit)
    assert event["head_commit"]["tree_id"] == taken.tree
    assert event["head_commit"]["message"] == "one"


def test_dispatched_inputs_are_strings_in_the_event(cloned):
    event = github_context.dispatch_event(known(cloned), {"debug": True, "count": 3, "nothing": None, "text": "a"})

    assert event["inputs"] == {"debug": "true", "count": "3", "nothing": "", "text": "a"}
    assert event["ref"] == "refs/heads/main"
    assert github_context.dispatch_event(known(cloned))["inputs"] is None


def test_a_tag_is_of_type_tag(cloned):
    found = context(cloned, event={"ref": "refs/tags/v1"})

    assert (found["ref_name"], found["ref_type"]) == ("v1", "tag")


def test_a_pull_request_is_on_its_merge_ref_which_is_a_branch(cloned):
    event = {"number": 12, "pull_request": {"number": 12, "head": {"ref": "feature"}, "base": {"ref": "main"}}}

    found = context(cloned, event=event, event_name="pull_request")

    wanted = {"ref": "refs/pull/12/merge", "ref_name": "12/merge", "ref_type": "branch", "head_ref": "feature", "base_ref": "main"}
    assert {key: found[key] for key in wanted} == wanted


def test_a_context_is_plain_json(cloned):
    found = context(cloned)

    assert json.loads(json.dumps(found)) == found


@pytest.mark.parametrize(
    ("url", "clean", "repository", "host"),
    [
        ("https://github.com/a/b.git", "https://github.com/a/b.git", "a/b", "github.com"),
        ("https://github.com/a/b/", "https://github.com/a/b/", "a/b", "github.com"),
        ("https://user:pass@host.example/a/b", "https://host.example/a/b", "a/b", "host.example"),
        ("https://token@host.example:8443/a/b.git", "https://host.example:8443/a/b.git", "a/b", "host.example"),
        ("ssh://git:pass@host.example:22/a/b.git", "ssh://git@host.example:22/a/b.git", "a/b", "host.example"),
        ("git@github.com:a/b.git", "git@github.com:a/b.git", "a/b", "github.com"),
        ("host.example:a/b", "host.example:a/b", "a/b", "host.example"),
        ("https://host.example/group/sub/b.git", "https://host.example/group/sub/b.git", "sub/b", "host.example"),
        ("https://host.example/b.git", "https://host.example/b.git", "local/b", "host.example"),
        ("file:///srv/git/b.git", "file:///srv/git/b.git", "local/b", ""),
        ("/srv/git/b.git", "/srv/git/b.git", "local/b", ""),
        ("../b", "../b", "local/b", ""),
        (None, None, "local/folder", ""),
        ("", None, "local/folder", ""),
    ],
)
def test_a_remote_s_url_is_read(url, clean, repository, host):
    found = read_remote(url, folder_name="folder")

    assert (found.url, f"{found.owner}/{found.name}", found.host) == (clean, repository, host)


def test_the_remote_is_the_branchs_own_then_origin_then_the_first():
    config = {"remote.zeta.url": "z", "remote.origin.url": "o", "remote.my.fork.url": "f", "branch.topic.remote": "my.fork"}

    assert remote_name(config, "refs/heads/topic") == "my.fork"
    assert remote_name(config, "refs/heads/main") == "origin"
    assert remote_name(config, None) == "origin"
    assert remote_name({"remote.zeta.url": "z"}, None) == "zeta"
    assert remote_name({"branch.topic.remote": "gone"}, "refs/heads/topic") is None


def test_the_longest_instead_of_rewrites_the_url():
    config = {
        "remote.origin.url": "gh:a/b",
        "url.https://short/.insteadof": "g",
        "url.https://github.com/.insteadof": "gh:",
        "url.https://other/.insteadof": "x:",
    }

    assert remote_url(config, "origin") == "https://github.com/a/b"
    assert remote_url({"remote.origin.url": "x"}, "origin") == "x"
    assert remote_url(config, None) is None


def test_another_host_has_its_own_server_and_api():
    assert (server_url("git.example"), api_url("git.example")) == ("https://git.example", "https://git.example/api/v3")
    assert (server_url(""), api_url("")) == ("https://github.com", "https://api.github.com")


def test_a_commit_is_read_with_people_parents_and_zone():
    body = b"tree 1\nparent a\nparent b\nauthor A B <a@b> 86400 +0130\ncommitter C <> 0 -0200\ngpgsig x\n author fake\n\nsubject\n\nbody\n"

    assert parse_commit(body) == Commit(
        message="subject\n\nbody",
        author=Person(name="A B", email="a@b", time="1970-01-02T01:30:00+01:30"),
        committer=Person(name="C", email="", time="1969-12-31T22:00:00-02:00"),
        parents=("a", "b"),
    )


@pytest.mark.parametrize("when", [b"", b"x +0000", b"1 +zzzz", b"99999999999999999999 +0000"])
def test_a_broken_date_is_no_date(when):
    assert parse_commit(b"author A <a> " + when + b"\n\nm").author.time == ""

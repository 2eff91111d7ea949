"""What a push of the source would bring, against remotes that stand elsewhere."""

from __future__ import annotations

import pytest

from sparki_daemon.source.changed import changed_paths, pushed_paths
from sparki_daemon.source.events import payload
from sparki_daemon.source.facts import facts
from sparki_daemon.source.push import MOST_COMPARED, push_of
from sparki_daemon.source.snapshot import at_revision

NOTHING = "0" * 40


@pytest.fixture
def cloned(repo):
    """`repo`, whose remote has its `main`."""
    repo.git("remote", "add", "origin", "https://github.com/ada/engine.git")
    there(repo, "main")
    repo.git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main")
    return repo


def there(repo, branch, commit="HEAD"):
    """The remote's branch stands at that commit."""
    repo.git("update-ref", f"refs/remotes/origin/{branch}", commit)


def pushed(repo, ref=None):
    """(what would be pushed, the event's payload, the files it brings)."""
    found = repo.found()
    snapshot = at_revision(found, ref, str(repo.objects)) if ref else repo.take()
    about = facts(found, snapshot)
    push = push_of(found, snapshot, about)
    event = payload(about, "push", push=push)
    paths = pushed_paths(snapshot, push)
    assert changed_paths(found, snapshot, about, event) == paths  # a payload that says the same comes to the same files
    return push, event, paths


def add(repo, name):
    repo.write(name)
    return repo.commit(f"add {name}\n\nof {name}")


def test_all_commits_that_the_remote_lacks_are_pushed_on_top_of_where_it_stands(cloned):
    base, ids = cloned.git("rev-parse", "HEAD"), [add(cloned, "a"), add(cloned, "b/c"), add(cloned, "d")]

    with cloned.untouched():
        push, event, paths = pushed(cloned)

    assert (event["before"], event["after"], event["created"], event["forced"]) == (base, ids[-1], False, False)
    assert [commit["id"] for commit in event["commits"]] == ids
    assert [commit["message"] for commit in event["commits"]] == ["add a\n\nof a", "add b/c\n\nof b/c", "add d\n\nof d"]
    assert event["commits"][0]["author"]["name"] == "Ada Lovelace"
    assert event["commits"][1]["tree_id"] == cloned.git("rev-parse", "HEAD~1^{tree}")
    assert event["head_commit"] == event["commits"][-1]
    assert paths == ("a", "b/c", "d")
    assert push.told


def test_uncommitted_changes_are_one_more_commit_on_top(cloned):
    base, first = cloned.git("rev-parse", "HEAD"), add(cloned, "a")
    cloned.write("new")
    cloned.write("README.md", "changed\n")

    push, event, paths = pushed(cloned)

    assert (event["before"], event["after"]) == (base, cloned.take().commit)
    assert [commit["id"] for commit in event["commits"]] == [first, event["after"]]
    assert paths == ("README.md", "a", "new")
    assert push.told


def test_uncommitted_changes_alone_are_pushed_on_top_of_what_the_remote_has(cloned):
    cloned.write("new")

    push, event, paths = pushed(cloned)

    assert (event["before"], len(event["commits"]), paths) == (cloned.git("rev-parse", "HEAD"), 1, ("new",))
    assert push.told


def test_a_file_that_was_changed_and_changed_back_was_not_changed(cloned):
    add(cloned, "a")
    add(cloned, "b")
    cloned.git("revert", "--no-edit", "HEAD~1")

    assert pushed(cloned)[2] == ("b",)


def test_a_new_branch_is_created_from_the_parent_of_its_deepest_new_commit(cloned):
    cloned.git("checkout", "-q", "-b", "topic")
    ids = [add(cloned, "a"), add(cloned, "b")]

    push, event, paths = pushed(cloned)

    assert (event["ref"], event["before"], event["created"]) == ("refs/heads/topic", NOTHING, True)
    assert [commit["id"] for commit in event["commits"]] == ids
    assert paths == ("a", "b")
    assert push.told


def test_a_new_branch_brings_what_no_other_branch_of_the_remote_has(cloned):
    cloned.git("checkout", "-q", "-b", "below")
    add(cloned, "a")
    there(cloned, "below")
    cloned.git("checkout", "-q", "-b", "topic")
    add(cloned, "b")

    assert pushed(cloned)[2] == ("b",)


def test_a_new_branch_that_has_merged_its_base_is_compared_below_its_first_commit(cloned):
    cloned.git("checkout", "-q", "-b", "topic")
    first = add(cloned, "a")
    cloned.git("checkout", "-q", "main")
    add(cloned, "upstream")
    there(cloned, "main")
    cloned.git("checkout", "-q", "topic")
    cloned.git("merge", "-q", "--no-edit", "main")

    _, event, paths = pushed(cloned)

    assert event["commits"][0]["id"] == first
    assert paths == ("a", "upstream")


def test_a_new_branch_without_a_commit_of_its_own_has_no_files_to_compare(cloned):
    cloned.git("checkout", "-q", "-b", "topic")

    push, event, paths = pushed(cloned)

    assert (event["commits"], event["created"], paths, push.told) == ([], True, None, False)
    assert event["head_commit"]["id"] == cloned.git("rev-parse", "HEAD")
    cloned.write("new")
    assert pushed(cloned)[2] == ("new",)


def test_a_branch_that_was_written_anew_is_forced(cloned):
    add(cloned, "a")
    there(cloned, "main")
    cloned.git("reset", "-q", "--hard", "HEAD~1")
    last = add(cloned, "b")

    _, event, paths = pushed(cloned)

    assert (event["forced"], event["before"]) == (True, cloned.git("rev-parse", "origin/main"))
    assert ([commit["id"] for commit in event["commits"]], paths) == ([last], ("a", "b"))


def test_commits_that_another_branch_of_the_remote_has_are_not_distinct(cloned):
    cloned.git("checkout", "-q", "-b", "topic")
    add(cloned, "a")
    there(cloned, "topic")
    cloned.git("checkout", "-q", "main")
    cloned.git("merge", "-q", "--no-ff", "--no-edit", "topic")

    event = pushed(cloned)[1]

    assert [commit["distinct"] for commit in event["commits"]] == [False, True]


@pytest.mark.parametrize("ahead", [False, True])
def test_where_there_is_nothing_to_push_the_last_commit_stands_for_it(cloned, ahead):
    before, last = cloned.git("rev-parse", "HEAD"), add(cloned, "a")
    if ahead:
        add(cloned, "b")
    there(cloned, "main")
    cloned.git("reset", "-q", "--hard", last)

    push, event, paths = pushed(cloned)

    assert (event["before"], [commit["id"] for commit in event["commits"]], paths) == (before, [last], ("a",))
    assert not push.told


def test_without_a_remote_the_default_branch_is_pushed_commit_by_commit_and_another_is_new(repo):
    add(repo, "a")
    add(repo, "b")
    push, event, paths = pushed(repo)
    assert (event["before"], paths, push.told) == (repo.git("rev-parse", "HEAD~1"), ("b",), False)

    repo.git("checkout", "-q", "-b", "topic")
    add(repo, "c")
    add(repo, "d")
    push, event, paths = pushed(repo)
    assert (event["created"], len(event["commits"]), paths, push.told) == (True, 2, ("c", "d"), False)


def test_a_tag_brings_no_commits(cloned):
    add(cloned, "a")
    cloned.git("tag", "v1")

    _, event, paths = pushed(cloned, "v1")

    assert (event["ref"], event["created"], event["commits"], paths) == ("refs/tags/v1", True, [], None)


def test_with_too_many_commits_nothing_is_compared(cloned):
    made = "".join(
        f"commit refs/heads/main\ncommitter Ada <a@b> {index} +0000\ndata 1\nx\n" + ("from refs/heads/main^0\n" if index == 1 else "")
        for index in range(1, MOST_COMPARED + 2)
    )
    cloned.git("fast-import", "--quiet", stdin=made.encode())
    cloned.git("reset", "-q", "--hard")

    push, event, paths = pushed(cloned)

    assert (len(event["commits"]), paths, push.told) == (MOST_COMPARED + 1, None, True)


def test_the_first_commit_of_all_is_compared_with_nothing(cloned):
    cloned.git("checkout", "-q", "--orphan", "fresh")
    cloned.git("commit", "-q", "-m", "root")

    _, event, paths = pushed(cloned)

    assert (event["created"], len(event["commits"])) == (True, 1)
    assert set(paths or ()) == set(cloned.git("ls-files").splitlines())

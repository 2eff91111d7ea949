"""What a real push brought, as a hook was told of it."""

from __future__ import annotations

import pytest

from sparki_daemon.source.changed import pushed_paths
from sparki_daemon.source.facts import facts
from sparki_daemon.source.push import Update, received, update_from_json
from sparki_daemon.source.remote import BOUND, remote_name
from sparki_daemon.source.snapshot import at_revision

ZERO = "0" * 40


def add(repo, name):
    repo.write(name)
    return repo.commit(f"add {name}")


def told(repo, after, before=None, ref="refs/heads/main", **others):
    """(the push, the files that it changed)."""
    found = repo.found()
    update = Update(ref=ref, before=before, after=after, others={f"refs/heads/{name}": sha for name, sha in others.items()})
    snapshot = at_revision(found, after, str(repo.objects))
    push = received(found, snapshot, update)
    return push, pushed_paths(snapshot, push)


def ids(push):
    return [one.id for one in push.commits]


def test_a_push_onto_a_branch_has_the_commits_between_and_the_files_between(repo):
    first = repo.git("rev-parse", "HEAD")
    second, third = add(repo, "a"), add(repo, "b")

    push, paths = told(repo, third, first)

    assert (push.before, ids(push), push.forced, paths) == (first, [second, third], False, ("a", "b"))


def test_a_push_back_has_no_commits_is_forced_and_takes_files_away(repo):
    first = repo.git("rev-parse", "HEAD")
    second = add(repo, "a")

    push, paths = told(repo, first, second)

    assert (push.before, ids(push), push.forced, paths) == (second, [], True, ("a",))


def test_a_rewritten_branch_is_forced_and_compared_with_what_was_there(repo):
    first = repo.git("rev-parse", "HEAD")
    second = add(repo, "a")
    repo.git("reset", "-q", "--hard", first)
    other = add(repo, "b")

    push, paths = told(repo, other, second)

    assert (ids(push), push.forced, paths) == ([other], True, ("a", "b"))


def test_a_new_branch_is_compared_with_where_it_left_the_others(repo):
    first = repo.git("rev-parse", "HEAD")
    second, third = add(repo, "a"), add(repo, "b")

    push, paths = told(repo, third, ref="refs/heads/side", main=first)

    assert (push.before, ids(push), paths) == (None, [second, third], ("a", "b"))


def test_the_first_push_of_all_brings_everything(repo):
    second = add(repo, "a")

    push, paths = told(repo, second)

    assert len(push.commits) == len(repo.git("rev-list", "HEAD").splitlines())
    assert set(paths) == set(repo.git("ls-files").splitlines())


def test_a_new_branch_without_a_commit_of_its_own_is_compared_with_nothing(repo):
    first = repo.git("rev-parse", "HEAD")

    push, paths = told(repo, first, ref="refs/heads/side", main=first)

    assert (ids(push), paths) == ([], None)


def test_commits_that_another_branch_has_are_not_distinct(repo):
    first = repo.git("rev-parse", "HEAD")
    second, third = add(repo, "a"), add(repo, "b")

    push, _ = told(repo, third, first, side=second)

    assert [(one.id, one.distinct) for one in push.commits] == [(second, False), (third, True)]


def test_a_tag_brings_no_commits_and_no_path_filter_holds_it(repo):
    push, paths = told(repo, repo.git("rev-parse", "HEAD"), ref="refs/tags/v1")

    assert (push.before, ids(push), paths) == (None, [], None)


def test_what_was_there_before_may_be_gone_from_here(repo):
    push, paths = told(repo, repo.git("rev-parse", "HEAD"), "1" * 40)

    assert push.forced
    assert paths is None


@pytest.mark.parametrize("before", [None, "", ZERO])
def test_zeros_are_no_commit(before):
    assert update_from_json({"ref": "refs/heads/x", "before": before, "after": "a"}).before is None


def test_an_update_survives_as_json():
    update = Update(ref="refs/heads/x", before="b", after="a", others={"refs/heads/y": "c"}, git_dir="/g")

    assert update_from_json(update.to_json()) == update


def test_a_bound_remote_is_none_of_those_that_a_project_comes_from(repo):
    repo.git("remote", "add", "sparki", "/state/bound/p-1.git")
    repo.git("config", f"remote.sparki.{BOUND}", "p-1")
    repo.git("config", "branch.main.remote", "sparki")
    found = repo.found()
    assert remote_name(found.config, found.branch) is None

    repo.git("remote", "add", "origin", "https://github.com/ada/engine.git")

    assert facts(repo.found(), repo.take()).repository == "ada/engine"

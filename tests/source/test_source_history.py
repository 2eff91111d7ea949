"""Where the history is cut, against git's own answer."""

from __future__ import annotations

import subprocess

import pytest

from sparki_daemon.source.history import shallow_commits, within

#      e
#     / \\
#    d   c
#    |   |
#    b---+
#    |
#    a
PARENTS = {"e": ["d", "c"], "d": ["b"], "c": ["b"], "b": ["a"], "a": []}


def test_a_commit_is_as_far_as_its_shortest_way() -> None:
    assert within({**PARENTS, "e": ["d", "c", "a"]}, ["e"], 2) == {"e": 1, "d": 2, "c": 2, "a": 2}


def test_every_tip_is_as_near_as_can_be() -> None:
    assert within(PARENTS, ["e", "b"], 2) == {"e": 1, "b": 1, "d": 2, "c": 2, "a": 2}


def test_a_history_that_ends_early_is_all_there() -> None:
    assert within(PARENTS, ["b"], 9) == {"b": 1, "a": 2}
    assert within({}, [], 1) == {}


@pytest.fixture
def branched(repo):
    """Two lines that part and come together again, one longer than the other, with a tag on the side."""
    for name, count in (("long", 4), ("short", 1)):
        repo.git("checkout", "-q", "-b", name, "main")
        for number in range(count):
            repo.write(f"{name}{number}")
            repo.commit(f"{name} {number}")
    repo.git("tag", "-a", "v1", "-m", "one", "long~2")
    repo.git("checkout", "-q", "main")
    repo.git("merge", "-q", "--no-ff", "-m", "together", "long", "short")
    repo.commit("last")
    return repo


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5, 6, 99])
@pytest.mark.parametrize("packed", [False, True])
def test_it_is_cut_where_git_cuts_it(branched, tmp_path, depth, packed):
    if packed:
        branched.git("gc", "-q")
    clone = tmp_path / "clone"
    branched.git("clone", "-q", "--no-tags", "--single-branch", f"--depth={depth}", branched.root.as_uri(), str(clone))

    with branched.untouched():
        found = shallow_commits(branched.take(), depth)

    shallow = clone / ".git" / "shallow"
    assert found == (sorted(shallow.read_text().split()) if shallow.exists() else [])


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_with_tags_it_is_cut_where_git_cuts_it(branched, tmp_path, depth):
    clone = tmp_path / "clone"
    subprocess.run(["git", "init", "-q", clone], check=True)
    args = ["fetch", "-q", f"--depth={depth}", branched.root.as_uri(), "main", "refs/tags/*:refs/tags/*"]
    subprocess.run(["git", *args], cwd=clone, check=True)

    found = shallow_commits(branched.take(), depth, [branched.git("rev-parse", "v1")])

    assert found == sorted((clone / ".git" / "shallow").read_text().split())


@pytest.mark.parametrize("depth", [1, 2, 3, 9])
def test_the_users_own_cut_stays_where_it_is_in_reach(branched, tmp_path, depth):
    branched.git("clone", "-q", "--depth=3", branched.root.as_uri(), str(tmp_path / "cut"))
    branched.root = tmp_path / "cut"
    own = sorted((tmp_path / "cut" / ".git" / "shallow").read_text().split())
    taken = branched.take()

    assert shallow_commits(taken, 0) == own
    found = shallow_commits(taken, depth)
    assert (found == own) == (depth >= 3)
    assert found


def test_a_commit_of_ours_is_the_first_of_the_line(repo, new_repo):
    repo.write("README.md", "changed")
    taken = repo.take()
    assert [shallow_commits(taken, depth) for depth in (1, 2, 3)] == [[taken.commit], [taken.head], []]

    unborn = new_repo("unborn")
    unborn.write("a")
    taken = unborn.take()
    assert [shallow_commits(taken, depth) for depth in (0, 1, 2)] == [[], [taken.commit], []]

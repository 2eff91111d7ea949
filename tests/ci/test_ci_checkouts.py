"""`sparki ci` in the checkouts that CI services make: a detached head, a clone of one commit, both, with no branch at all."""

from __future__ import annotations

import subprocess

import pytest
from ci_repository import Repository

HEAD_OF = """
on: push
jobs:
  a:
    runs-on: ubuntu-latest
    steps: [{uses: actions/checkout@v4}, {run: 'test "$GITHUB_SHA" = "$WANTED" && cat second'}]
"""


def git(repository: Repository, *words: str) -> str:
    done = subprocess.run(
        ["git", "-c", "user.name=a", "-c", "user.email=a@b", *words], cwd=repository.root, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.mark.parametrize("kind", ["detached", "shallow", "shallow and detached", "fetched"])
def test_the_checkout_of_a_service_runs_as_any_other(repository: Repository, kind: str) -> None:
    repository.workflow("ci", HEAD_OF)
    repository.commit()
    (repository.root / "second").write_text("the second\n")
    repository.commit()
    head = git(repository, "rev-parse", "HEAD")
    if kind == "detached":
        git(repository, "checkout", "-q", "--detach")
    elif kind == "fetched":  # as actions/checkout and GitLab's runner do: fetch one commit, check it out
        origin, repository.root = repository.root, repository.root.parent / "clone"
        repository.root.mkdir()
        git(repository, "init", "-q")
        git(repository, "remote", "add", "origin", f"file://{origin}")
        git(repository, "fetch", "-q", "--depth=1", "--no-tags", "origin", "main:refs/remotes/origin/main")
        git(repository, "checkout", "-q", "--detach", "refs/remotes/origin/main")
    else:
        origin, clone = repository.root, repository.root.parent / "clone"
        git(repository, "clone", "-q", "--depth=1", f"file://{origin}", str(clone))
        repository.root = clone
        if "detached" in kind:
            git(repository, "checkout", "-q", "--detach")
    if kind != "detached":
        assert git(repository, "rev-parse", "--is-shallow-repository") == "true"
    done = repository.sparki("ci", "ci", "--env", f"WANTED={head}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the second" in done.stdout
    bare = repository.sparki("ci", "--env", f"WANTED={head}")  # what a push would start, with no branch to name
    assert bare.returncode == 0, bare.stdout + bare.stderr

from __future__ import annotations

import json
import os
import subprocess

import pytest

from sparki_daemon.model.problem import SparkiError
from sparki_daemon.source.snapshot import at_revision, from_json


def test_a_snapshot_goes_through_json_and_back(repo):
    repo.write(os.fsdecode(b"\xff"))
    repo.write(".gitattributes", "* text=auto\n")
    repo.write("dos", "a\r\n")
    (repo.root / "inner").mkdir()
    subprocess.run(["git", "init", "-q", "inner"], cwd=repo.root, check=True)

    taken = repo.take()

    assert taken.notes
    assert from_json(json.loads(json.dumps(taken.to_json()))) == taken


@pytest.mark.parametrize(("rev", "ref"), [("main~1", None), ("v1", "refs/tags/v1"), ("side", "refs/heads/side"), ("HEAD~1", None)])
def test_a_revision_is_taken_without_the_working_tree(repo, rev, ref):
    first = repo.git("rev-parse", "HEAD")
    repo.git("tag", "v1")
    repo.git("branch", "side")
    repo.write("README.md", "two\n")
    repo.commit("two")
    repo.write("README.md", "three\n")

    with repo.untouched():
        taken = at_revision(repo.found(), rev, str(repo.objects))

    assert (taken.commit, taken.head, taken.dirty, taken.ref) == (first, first, False, ref)
    assert taken.tree == repo.git("rev-parse", f"{first}^{{tree}}")
    assert taken.objects is None


def test_an_annotated_tag_is_taken_as_its_commit(repo):
    repo.git("tag", "-a", "v2", "-m", "two")

    taken = at_revision(repo.found(), "v2", str(repo.objects))

    assert taken.commit == repo.git("rev-parse", "HEAD")


@pytest.mark.parametrize("rev", ["nothing", "--all", "HEAD:README.md", ""])
def test_what_is_no_revision_is_refused(repo, rev):
    with pytest.raises(SparkiError) as caught:
        at_revision(repo.found(), rev, str(repo.objects))

    assert caught.value.problems[0].code == "no_such_revision"

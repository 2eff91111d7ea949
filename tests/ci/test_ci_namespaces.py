"""Where the system refuses runners a PID namespace of their own, `sparki ci` does without: as root in most containers."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest
from ci_repository import SPARKI, Repository

# Root without the right to make one; one who may make one, but not a /proc for it; and one who could not come back from it.
REFUSED = {
    "made": ["setpriv", "--bounding-set", "-sys_admin", "--inh-caps", "-sys_admin"],
    "finished": ["unshare", "-m", "sh", "-c", 'mount -t tmpfs none /proc/sys && exec unshare -rpf "$0" "$@"'],
    "left": ["unshare", "-r"],
}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root is given namespaces")
@pytest.mark.parametrize("refused", REFUSED)
def test_a_namespace_that_can_not_be(repository: Repository, refused: str) -> None:
    words = REFUSED[refused]
    if not shutil.which(words[0]) or subprocess.run([*words, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip(f"{words[0]} can't refuse it here")
    repository.workflow(
        "ci",
        """
        on: push
        jobs:
          a: {runs-on: ubuntu-latest, steps: [{run: echo one}]}
          b: {runs-on: ubuntu-latest, steps: [{run: echo two}]}
        """,
    )
    repository.commit()
    done = subprocess.run(
        [*words, SPARKI, "ci"], cwd=repository.root, env=repository.env, capture_output=True, text=True, timeout=50, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert {"one", "two"} <= set(done.stdout.splitlines())
    assert list(repository.temp.iterdir()) == []

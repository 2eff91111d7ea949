"""setup-python and setup-node have later output searched for what their tools say, as GitHub's do."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from driver import Driver, step

from sparki_daemon.runner.actions.problem_matchers import NODE, PYTHON
from sparki_daemon.runner.matchers import Matchers

TSC = """
src/a.ts(3,5): error TS2322: Type 'x' is not assignable.
src/b (1).ts:4:6 - warning TS6133: 'y' is unused
src/a.ts(3,5): no error
"""
STYLISH = """
/w/src/app.js
  1:10  error    'addOne' is defined but never used            no-unused-vars
  2:9   warning  Use the isNaN function to compare with NaN    use-isnan

/w/src/other.js
  3:1  error  Parsing error: odd  text

✖ 3 problems (2 errors, 1 warning)
"""
COMPACT = "/w/a.js: line 1, col 10, Error - 'addOne' is unused. (no-unused-vars)\n/w/a.js: line 2, col 1, Warning - two (x) words. (b)\n"
TRACEBACK = """
Traceback (most recent call last):
  File "/w/t.py", line 7, in <module>
    main()
  File "/w/lib/u.py", line 3, in main
    raise ValueError('it is broken')
ValueError: it is broken
"""


def found(matchers: dict[str, list[dict[str, Any]]], text: str) -> list[tuple[Any, ...]]:
    looking = Matchers()
    looking.workspace = "/w"
    looking.add(json.dumps({"problemMatcher": [{"owner": name, "pattern": one} for name, one in matchers.items()]}).encode())
    hits = [*looking.feed(text.encode()), *looking.flush()]
    return [(hit["level"], hit["file"], hit["line"], hit["column"], hit["title"], hit["message"]) for hit in hits]


def test_what_tsc_says_becomes_annotations() -> None:
    assert found(dict(NODE), TSC) == [
        ("error", "src/a.ts", 3, 5, "2322", "Type 'x' is not assignable."),
        ("warning", "src/b (1).ts", 4, 6, "6133", "'y' is unused"),
    ]


@pytest.mark.parametrize("owners", [("eslint-stylish",), ("tsc", "eslint-stylish", "eslint-compact")])
def test_what_eslint_says_becomes_annotations(owners: tuple[str, ...]) -> None:
    matchers = {owner: NODE[owner] for owner in owners}

    assert found(matchers, STYLISH) == [
        ("error", "src/app.js", 1, 10, "no-unused-vars", "'addOne' is defined but never used"),
        ("warning", "src/app.js", 2, 9, "use-isnan", "Use the isNaN function to compare with NaN"),
        ("error", "src/other.js", 3, 1, "text", "Parsing error: odd"),
    ]


def test_what_eslint_says_in_short_becomes_annotations() -> None:
    assert found(dict(NODE), COMPACT) == [
        ("error", "a.js", 1, 10, "no-unused-vars", "'addOne' is unused."),
        ("warning", "a.js", 2, 1, "b", "two (x) words."),
    ]


def test_the_frame_of_a_traceback_that_raised_becomes_an_annotation() -> None:
    assert found(dict(PYTHON), TRACEBACK) == [("error", "lib/u.py", 3, None, "", "it is broken")]


def test_a_step_after_setup_python_is_annotated_where_it_raised(runner: Driver) -> None:
    broken = "def f():\n    raise ValueError('no good')\nf()\n"
    done = runner.do(
        step(uses="actions/setup-python@v5", inputs={"python-version": ".".join(map(str, sys.version_info[:2]))}),
        step(f"cat > t.py <<'E'\n{broken}E\npython t.py", continue_on_error="true"),
        "echo ::remove-matcher owner=python::",
        step("python t.py", continue_on_error="true"),
        run_user_home=os.path.expanduser("~"),
    )

    told = [[(one["file"], one["line"], one["message"]) for one in record["annotations"]] for record in done.steps[:4]]
    assert told == [[], [("t.py", 2, "no good")], [], []]
    assert "add-matcher" not in done.log


def test_a_step_after_setup_node_is_annotated_where_eslint_says(runner: Driver, tmp_path: Path) -> None:
    node = tmp_path / "bin" / "node"
    node.parent.mkdir()
    node.write_text("#!/bin/sh\necho v20.1.0\n")
    node.chmod(0o755)
    path = os.pathsep.join([str(node.parent), os.path.dirname(shutil.which("sh") or "/bin/sh"), "/usr/bin"])
    done = runner.do(
        step(uses="actions/setup-node@v4", inputs={"node-version": "20", "package-manager-cache": "false"}),
        "echo src/a.js; echo '  1:2  error  Unexpected thing  some-rule'",
        run_env={"PATH": path},
    )

    assert done.end["result"] == "success", done.log
    assert [(one["file"], one["line"], one["title"]) for one in done.steps[1]["annotations"]] == [("src/a.js", 1, "some-rule")]

"""The problem matchers that setup-python and setup-node bring: what Python, tsc and ESLint say becomes annotations.

Source: the lines that the tools print; which tools, owners and levels: actions/setup-python 6 and actions/setup-node 6.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sparki_daemon.runner.actions.call import Call

PYTHON: Mapping[str, list[dict[str, Any]]] = {
    "python": [  # a traceback's frame, and the line of the file that raised with a text of its own
        {"regexp": r"^\s*File \"(.+)\", line (\d+), in .+$", "file": 1, "line": 2},
        {"regexp": r"^\s*raise .*?\('(.*)'\)$", "message": 1},
    ]
}
NODE: Mapping[str, list[dict[str, Any]]] = {
    "tsc": [  # `a.ts(3,5): error TS1: text`, or with --pretty `a.ts:3:5 - error TS1: text`
        {
            "regexp": r"^(\S.*?)[(:](\d+)[,:](\d+)(?:\):| -)\s+(error|warning|info) TS(\d+)\s*: *(.*)$",
            "file": 1,
            "line": 2,
            "column": 3,
            "severity": 4,
            "code": 5,
            "message": 6,
        }
    ],
    "eslint-stylish": [  # a line with the file, below it one for each problem
        {"regexp": r"^\s*(\S.*)$", "file": 1},
        {
            "regexp": r"^\s+(\d+):(\d+)\s+(error|warning|info)\s+(.*\S)\s{2,}(\S.*)$",
            "line": 1,
            "column": 2,
            "severity": 3,
            "message": 4,
            "code": 5,
            "loop": True,
        },
    ],
    "eslint-compact": [
        {
            "regexp": r"^(.+): line (\d+), col (\d+), ([Ee]rror|[Ww]arning|[Ii]nfo) - (.+) \((.+)\)$",
            "file": 1,
            "line": 2,
            "column": 3,
            "severity": 4,
            "message": 5,
            "code": 6,
        }
    ],
}


def register(call: Call, matchers: Mapping[str, list[dict[str, Any]]]) -> None:
    """Have the job's later output looked at, as GitHub's actions do by the same command. Raises OSError."""
    items = [{"owner": owner, "pattern": patterns} for owner, patterns in matchers.items()]
    path = f"{call.temp}/matchers-{next(iter(matchers))}.json"
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"problemMatcher": items}, file)
    call.say(f"##[add-matcher]{path}")

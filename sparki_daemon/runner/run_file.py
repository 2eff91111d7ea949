"""What the jobs of a run share, read once a run and runner."""

from __future__ import annotations

import json
import os
from typing import Any

from sparki_daemon.model.plan import JobPlan, Pairs, Template, job_from_json
from sparki_daemon.model.spec import RunSpec
from sparki_daemon.runner.environment import github_layer, host_layer
from sparki_daemon.system.files import write_atomic


class RunFile:
    """A run's RunSpec and what follows from it. Raises OSError, ValueError, KeyError for a file that is none."""

    def __init__(self, path: str) -> None:
        with open(path, "rb") as file:
            self.spec: RunSpec = json.loads(file.read())
        self.file: str = self.spec["plan"]["file"]
        self.env: Pairs = tuple((name, Template(*template)) for name, template in self.spec["plan"]["env"])
        self.host_env = host_layer(self.spec)
        self.event_path = os.path.join(os.path.dirname(path), "event.json")
        self._jobs: dict[str, Any] = {job["id"]: job for job in self.spec["plan"]["jobs"]}
        if not os.path.exists(self.event_path):
            write_atomic(self.event_path, json.dumps(self.spec["event"], indent=2).encode(), mode=0o400, durable=False)
        self.github = {**self.spec["github"], "event": self.spec["event"], "event_path": self.event_path, "token": ""}
        self.github_env = github_layer(self.github)
        self.debug = str(self.spec.get("vars", {}).get("ACTIONS_STEP_DEBUG", "")).lower() == "true"
        self.npmrc = _npmrc(self.spec)
        self.hold = self.spec.get("hold", "")

    def job(self, key: str) -> JobPlan:
        """The plan of one job. Raises KeyError for a key that the plan has not."""
        return job_from_json(self._jobs[key])


def _npmrc(spec: RunSpec) -> bytes | None:
    """The user's npm settings, which a job with a home of its own would miss. It gets a copy: `npm config set` must not change them."""
    if spec["home"] == "user" or any(name.upper() == "NPM_CONFIG_USERCONFIG" for name in spec["env"]):
        return None
    try:
        with open(os.path.join(spec["user_home"], ".npmrc"), "rb") as file:
            return file.read()
    except OSError:
        return None


class RunFiles:
    """The last run files, by path: a runner's jobs are mostly of one or two runs."""

    def __init__(self, keep: int = 4) -> None:
        self._keep = keep
        self._known: dict[str, RunFile] = {}

    def get(self, path: str) -> RunFile:
        """The run file at `path`. Raises what RunFile raises."""
        run = self._known.pop(path, None) or RunFile(path)
        self._known[path] = run  # the last used is the last in order
        if len(self._known) > self._keep:
            del self._known[next(iter(self._known))]
        return run

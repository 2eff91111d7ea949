"""What the jobs of a run have left for people, as the API tells it."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from sparki_daemon.model.problem import ExitCode, Problem, SparkiError
from sparki_daemon.store.artifacts import Artifact, Artifacts
from sparki_daemon.system.clock import rfc3339


class RunArtifacts:
    """Lists artifacts under a state folder, and finds their files."""

    def __init__(self, home: str) -> None:
        self._artifacts = Artifacts(os.path.join(home, "artifacts"))

    async def listing(self, run: str) -> dict[str, Any]:
        """The run's artifacts by name."""
        found = await asyncio.to_thread(self._artifacts.listing, run)
        return {"run": run, "artifacts": [_view(artifact) for artifact in found]}

    async def file(self, run: str, name: str, index: int) -> str:
        """Where a file lies; `index` is its place in the listing. Raises SparkiError `no_such_artifact`."""
        artifact = await asyncio.to_thread(self._artifacts.find, run, name)
        if artifact is None or index >= len(artifact.files):
            what = f"artifact '{name}'" if artifact is None else f"file {index} in artifact '{name}'"
            raise SparkiError(Problem(code="no_such_artifact", message=f"run {run} has no {what}"), exit_code=ExitCode.NOT_FOUND)
        return artifact.file(index)


def _view(artifact: Artifact) -> dict[str, Any]:
    return {
        "name": artifact.name,
        "job": artifact.job,
        "attempt": artifact.attempt,
        "size_bytes": artifact.size_bytes,
        "digest": artifact.digest,
        "created": rfc3339(artifact.created_ms),
        "files": [{"path": path, "size_bytes": size, "sha256": digest} for path, size, digest in artifact.files],
    }

"""Puts the actions of other repositories, which folders stand for, where a job finds them: a copy for each job, as on GitHub's runner.

Source: actions/runner, Runner.Worker/ActionManager.cs (`_actions/OWNER/REPOSITORY/REF`).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from sparki_daemon.pipeline.mapped import Remote, remote

if TYPE_CHECKING:
    from sparki_daemon.runner.job import Job


def stands_for(job: Job, uses: str) -> Remote | None:
    """What `uses` names, where a folder stands for it; None: it is local, native, or nowhere."""
    folders = job.run_file.spec.get("actions")
    found = remote(uses) if folders else None
    return found if found and folders and found.key in folders else None


def folder_of(job: Job, named: Remote) -> str:
    """The job's own copy of the repository that `named` is of. Raises OSError."""
    path = os.path.join(job.work, "_actions", *named.repository.split("/"), *named.ref.split("/"))
    if not os.path.isdir(path):
        import shutil  # noqa: PLC0415  # its compression modules are a megabyte in every runner

        shutil.copytree(job.run_file.spec["actions"][named.key], path, symlinks=True)
    return path

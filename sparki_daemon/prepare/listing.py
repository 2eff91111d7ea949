"""Says which pipelines a push of what is checked out would start, as `sparki run` without a name decides it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sparki_daemon.pipeline.document import Document
from sparki_daemon.pipeline.select import Occurrence, has_path_filter, starts
from sparki_daemon.source.changed import pushed_paths
from sparki_daemon.source.facts import facts
from sparki_daemon.source.push import push_of
from sparki_daemon.source.repository import Repository
from sparki_daemon.source.snapshot import take

_HEADS = "refs/heads/"


def started_by_push(documents: Sequence[Document], repository: Repository, objects: Callable[[], str]) -> frozenset[str]:
    """The files of the pipelines that a push would start, `paths` obeyed. `objects`: names a folder for a snapshot, asked if one is taken.

    Source and git are looked at only where a filter on paths, or a detached HEAD, needs it. Raises what `take` and `facts` raise.
    """
    branch = (repository.branch or "").removeprefix(_HEADS)
    paths: tuple[str, ...] | None = None
    if not branch or any(has_path_filter(document, "push") for document in documents):
        snapshot = take(repository, objects())
        known = facts(repository, snapshot)
        branch = known.branch_name or known.default_branch
        push = push_of(repository, snapshot, known)
        paths = pushed_paths(snapshot, push) if push.told else None
    return frozenset(document.file for document in documents if starts(document, Occurrence(event="push", branch=branch, paths=paths)))

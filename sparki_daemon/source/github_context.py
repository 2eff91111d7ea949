"""Builds the github context and the payloads of events from facts; pure.

Source: GitHub's docs, "Contexts reference" (github context) and "Webhook events and payloads".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sparki_daemon.source.facts import Facts, Person, facts
from sparki_daemon.source.push import Push, Pushed
from sparki_daemon.source.remote import api_url, server_url

__all__ = ["Facts", "common", "dispatch_event", "facts", "github_context", "push_event"]

_NOBODY_ID = "0"


def github_context(
    known: Facts,
    *,
    event_name: str,
    event: Mapping[str, Any],
    workflow: str,
    run_id: str,
    run_number: int,
    run_attempt: int = 1,
    workflow_file: str = "",
) -> dict[str, Any]:
    """The github context as far as a run knows it: what differs a job (job, workspace, action, event_path) comes later.

    `workflow` is its name, `workflow_file` its path in the repository. Numbers are strings, as on GitHub.
    """
    ref, head_ref, base_ref = _refs(known, event_name, event)
    host = known.remote.host
    actor = _actor(known, event)
    return {
        "token": "",
        "ref": ref,
        "ref_name": _short(ref),
        "ref_type": "tag" if ref.startswith("refs/tags/") else "branch",
        "ref_protected": False,
        "head_ref": head_ref,
        "base_ref": base_ref,
        "sha": known.sha,
        "repository": known.repository,
        "repository_owner": known.remote.owner,
        "repository_id": _NOBODY_ID,
        "repository_owner_id": _NOBODY_ID,
        "repository_visibility": "private",
        "repositoryUrl": f"git://{host or 'localhost'}/{known.repository}.git",
        "actor": actor,
        "actor_id": _NOBODY_ID,
        "triggering_actor": actor,
        "workflow": workflow,
        "workflow_ref": f"{known.repository}/{workflow_file or workflow}@{ref}",
        "workflow_sha": known.sha,
        "run_id": run_id,
        "run_number": str(run_number),
        "run_attempt": str(run_attempt),
        "retention_days": "90",
        "secret_source": "Actions",
        "event_name": event_name,
        "event": dict(event),
        "server_url": server_url(host),
        "api_url": api_url(host),
        "graphql_url": f"{api_url(host).removesuffix('/v3')}/graphql",
    }


def _refs(known: Facts, event_name: str, event: Mapping[str, Any]) -> tuple[str, str, str]:
    """(ref, head_ref, base_ref): a pull request's run is on its merge ref, a release's on its tag."""
    request, release, ref = event.get("pull_request"), event.get("release"), event.get("ref")
    if isinstance(request, Mapping):
        head, base = _ref_of(request, "head"), _ref_of(request, "base")
        if event_name == "pull_request_target":
            return f"refs/heads/{base}", head, base
        return f"refs/pull/{event.get('number', request.get('number'))}/merge", head, base
    if isinstance(release, Mapping) and release.get("tag_name"):
        return f"refs/tags/{release['tag_name']}", "", ""
    return (ref if isinstance(ref, str) and ref.startswith("refs/") else known.ref), "", ""


def _actor(known: Facts, event: Mapping[str, Any]) -> str:
    sender = event.get("sender")
    return str(sender.get("login") or known.actor) if isinstance(sender, Mapping) else known.actor


def _ref_of(request: Mapping[str, Any], side: str) -> str:
    about = request.get(side)
    return str(about.get("ref", "")) if isinstance(about, Mapping) else ""


def _short(ref: str) -> str:
    """A ref name as GitHub shows it: `refs/pull/7/merge` is `7/merge`."""
    for prefix in ("refs/heads/", "refs/tags/", "refs/pull/"):
        if ref.startswith(prefix):
            return ref.removeprefix(prefix)
    return ref


def push_event(known: Facts, push: Push) -> dict[str, Any]:
    """The payload of a push that brings this source.

    For uncommitted changes the last commit bears the synthetic id, with the message and author of the commit below.
    """
    zero = "0" * len(known.sha)
    before = push.before or zero
    return {
        "ref": known.ref,
        "before": before,
        "after": known.sha,
        "base_ref": None,
        "created": push.before is None,
        "deleted": False,
        "forced": push.forced,
        "compare": f"{server_url(known.remote.host)}/{known.repository}/compare/{before[:12]}...{known.sha[:12]}",
        "commits": [_commit(known, one) for one in push.commits],
        "head_commit": _commit(known, push.commits[-1] if push.commits else Pushed(known.sha, known.tree, known.commit)),
        "pusher": {"name": known.actor, "email": known.commit.committer.email},
        **common(known),
    }


def dispatch_event(known: Facts, inputs: Mapping[str, Any] | None = None, workflow_file: str = "") -> dict[str, Any]:
    """The payload of a workflow_dispatch: there `event.inputs` are strings, whatever their declared type."""
    texts = {name: _text(value) for name, value in (inputs or {}).items()}
    return {"ref": known.ref, "inputs": texts or None, "workflow": workflow_file, **common(known)}


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)


def common(known: Facts) -> dict[str, Any]:
    """What every payload has: whose repository, and who did it."""
    owner = {"login": known.remote.owner, "name": known.remote.owner, "type": "User"}
    url = f"{server_url(known.remote.host)}/{known.repository}"
    return {
        "repository": {
            "name": known.remote.name,
            "full_name": known.repository,
            "owner": owner,
            "private": True,
            "visibility": "private",
            "fork": False,
            "default_branch": known.default_branch,
            "master_branch": known.default_branch,
            "html_url": url,
            "clone_url": f"{url}.git",
        },
        "sender": {"login": known.actor, "type": "User"},
    }


def _commit(known: Facts, pushed: Pushed) -> dict[str, Any]:
    commit = pushed.commit
    return {
        "id": pushed.id,
        "tree_id": pushed.tree,
        "distinct": pushed.distinct,
        "message": commit.message,
        "timestamp": commit.committer.time,
        "url": f"{server_url(known.remote.host)}/{known.repository}/commit/{pushed.id}",
        "author": _person(commit.author),
        "committer": _person(commit.committer),
    }


def _person(person: Person) -> dict[str, str]:
    return {"name": person.name, "email": person.email, "username": person.name}

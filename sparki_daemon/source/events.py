"""Makes up the payload of an event from facts, and lays a given one over it; pure.

Source: GitHub's docs, "Webhook events and payloads", and GITHUB.md §4.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sparki_daemon.source.facts import Facts
from sparki_daemon.source.github_context import common, dispatch_event, push_event
from sparki_daemon.source.push import Push
from sparki_daemon.source.remote import server_url

_NUMBER = 1  # of a pull request that nobody has opened yet


def payload(
    known: Facts,
    event: str,
    *,
    push: Push | None = None,
    base_sha: str = "",
    inputs: Mapping[str, Any] | None = None,
    workflow_file: str = "",
    cron: str = "",
) -> dict[str, Any]:
    """The payload of an event that would have brought this source.

    `push`: what a push brings, which it must be given; `base_sha`: where a pull request's base stands; `inputs`, `workflow_file`: of a
    workflow_dispatch; `cron`: of a schedule.
    An event that nothing here can stand for has repository and sender alone.
    """
    if event == "workflow_dispatch":
        return dispatch_event(known, inputs, workflow_file)
    if event in ("pull_request", "pull_request_target"):
        return pull_request_event(known, base_sha)
    if event == "schedule":
        return {"schedule": cron, "workflow": workflow_file, **common(known)}
    if event == "push" and push is not None:
        return push_event(known, push)
    return release_event(known) if event == "release" else common(known)


def pull_request_event(known: Facts, base_sha: str) -> dict[str, Any]:
    """A pull request of this branch to the default branch, just opened. Its number is 1: nobody has given it one."""
    head = known.ref.removeprefix("refs/heads/").removeprefix("refs/tags/")
    about = common(known)
    repository = about["repository"]
    user = {"login": known.actor, "type": "User"}
    message, _, body = known.commit.message.partition("\n")
    request = {
        "number": _NUMBER,
        "state": "open",
        "title": message,
        "body": body.strip() or None,
        "draft": False,
        "merged": False,
        "labels": [],
        "assignees": [],
        "requested_reviewers": [],
        "user": user,
        "author_association": "OWNER",
        "html_url": f"{server_url(known.remote.host)}/{known.repository}/pull/{_NUMBER}",
        "head": {"ref": head, "sha": known.sha, "label": f"{known.remote.owner}:{head}", "user": user, "repo": repository},
        "base": {
            "ref": known.default_branch,
            "sha": base_sha or known.sha,
            "label": f"{known.remote.owner}:{known.default_branch}",
            "user": user,
            "repo": repository,
        },
    }
    return {"action": "opened", "number": _NUMBER, "pull_request": request, **about}


def release_event(known: Facts) -> dict[str, Any]:
    """A release of the tag that is checked out, just published; without one, of a tag `v0.0.0`."""
    tag = known.ref.removeprefix("refs/tags/") if known.ref.startswith("refs/tags/") else "v0.0.0"
    release = {
        "tag_name": tag,
        "name": tag,
        "target_commitish": known.default_branch,
        "draft": False,
        "prerelease": False,
        "body": known.commit.message,
        "author": {"login": known.actor, "type": "User"},
        "assets": [],
        "html_url": f"{server_url(known.remote.host)}/{known.repository}/releases/tag/{tag}",
    }
    return {"action": "published", "release": release, **common(known)}


def merged(made_up: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """`given` laid over `made_up`: objects meet key by key, of all else the given one stays."""
    found = dict(made_up)
    for key, value in given.items():
        there = found.get(key)
        found[key] = merged(there, value) if isinstance(there, Mapping) and isinstance(value, Mapping) else value
    return found

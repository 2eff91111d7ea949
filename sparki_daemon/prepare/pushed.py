"""Reads what git told a hook of a push, and judges each ref by the pushed commit's own sparki.yml."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence

from sparki_daemon.model.dataclass import dataclass, replace
from sparki_daemon.model.problem import Problem, SparkiError
from sparki_daemon.pipeline.environments import BranchRule
from sparki_daemon.pipeline.globs import matches
from sparki_daemon.pipeline.settings import FILE, read_settings
from sparki_daemon.pipeline.spelling import did_you_mean
from sparki_daemon.source import files
from sparki_daemon.source.bound import bound
from sparki_daemon.source.objects import read_commit
from sparki_daemon.source.push import Update
from sparki_daemon.source.refs import read_refs
from sparki_daemon.source.snapshot import at_revision

SKIP, QUEUE = "sparki.skip", "sparki.queue"
OPTIONS = (SKIP, QUEUE)
_END = "end"
# Source: GitHub's docs, "Skipping workflow runs": words in the head commit's message, or a trailer of it.
_SKIP_WORDS = ("[skip ci]", "[ci skip]", "[no ci]", "[skip actions]", "[actions skip]")
_SKIP_TRAILER = re.compile(r"^skip-checks:\s*true\s*$", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One push, as its file in `pending` has it: the refs in the order in which git told them, and the push options."""

    updates: tuple[Update, ...]
    options: tuple[str, ...] = ()

    def problems(self) -> Iterator[Problem]:
        """What is wrong with its options; those that are not Sparki's are none of its business."""
        for option in self.options:
            if option.startswith("sparki.") and option not in OPTIONS:
                hint = did_you_mean(option, OPTIONS) or f"there are: {', '.join(OPTIONS)}"
                yield Problem(code="unknown_push_option", message=f"there is no push option '{option}', so nothing is run", hint=hint)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What is to be done about one ref. `why_not`: nothing, and why; empty: `rule` (None: there is none for it) says it.

    `note`: what whoever pushed may have expected, and does not happen.
    """

    why_not: str = ""
    rule: BranchRule | None = None
    note: str = ""


def parse(data: bytes, git_dir: str) -> Received | None:
    """What the hook of the bare repository at `git_dir` wrote; None: it was cut off."""
    *lines, last = os.fsdecode(data).removesuffix("\n").split("\n")
    options = [line.removeprefix("option ") for line in lines if line.startswith("option ")]
    told = [line.split(" ", 2) for line in lines if not line.startswith("option ")]
    if last != _END or any(len(words) != len(("before", "after", "ref")) for words in told):
        return None
    updates = tuple(
        Update(ref=ref, before=before if before.strip("0") else None, after=after, git_dir=git_dir) for before, after, ref in told
    )
    return Received(updates=updates, options=tuple(options))


def with_others(received: Received, git_dir: str) -> Received:
    """Each update with where the other branches stood before this push."""
    there = read_refs(git_dir, ("refs/heads",))
    for update in received.updates:
        there.pop(update.ref, None)
        if update.before and update.branch:
            there[update.ref] = update.before
    return replace(received, updates=tuple(replace(update, others=there) for update in received.updates))


def judge(update: Update, objects: str) -> Judged:
    """What a push of this ref asks for. Raises SparkiError with what is wrong with the commit's sparki.yml, and as `bound` does."""
    if not update.after.strip("0"):
        return Judged(why_not="it was deleted")
    if not update.ref.startswith(("refs/heads/", "refs/tags/")):
        return Judged(why_not="it is no branch and no tag")
    repository = bound(update.git_dir)
    try:
        snapshot = at_revision(repository, update.after, objects)
    except SparkiError as error:
        if error.problems[0].code != "no_such_revision":
            raise
        return Judged(why_not="it is a tag of no commit")
    deploying = read_settings(files.read(snapshot, FILE)).deploying
    if asks_to_skip(read_commit(repository.common_dir, repository.objects, snapshot.commit)):
        return Judged(why_not="the commit's message asks to skip it")
    rule = first_rule(deploying.branches, update.name)
    undeployed = bool(deploying.environments) and not any(one.deploy for one in deploying.branches)
    return Judged(rule=rule, note=_no_rule(update.name, next(iter(deploying.environments))) if undeployed else "")


def _no_rule(name: str, environment: str) -> str:
    """Environments without any rule look as if a push would deploy: their own `branches` only says which commits may be."""
    return f"nothing is deployed: no rule under 'branches:' in sparki.yml does, such as `{name}: {{deploy: {environment}}}`"


def first_rule(rules: Sequence[BranchRule], name: str) -> BranchRule | None:
    """The first rule, in the order of the file, whose pattern the branch or tag fits."""
    return next((rule for rule in rules if matches(name, [rule.pattern])), None)


def asks_to_skip(commit: bytes) -> bool:
    """Whether a commit's message wants nothing to be run for it."""
    message = commit.partition(b"\n\n")[2].decode("utf-8", "replace")
    return any(word in message for word in _SKIP_WORDS) or bool(_SKIP_TRAILER.search(message))

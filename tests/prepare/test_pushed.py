"""What a hook wrote of a push, and what the pushed commit says is to be done about it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from sparki_daemon.model.problem import SparkiError
from sparki_daemon.pipeline.settings import read_settings
from sparki_daemon.prepare.pushed import asks_to_skip, first_rule, judge, parse, with_others
from sparki_daemon.source.binding import Starting, make
from sparki_daemon.source.bound import Bind
from sparki_daemon.source.push import Update
from sparki_daemon.source.repository import find

ZERO, A, B = "0" * 40, "a" * 40, "b" * 40


class Bound:
    """A repository with a commit or two, bound in a state folder; commits are pushed without a hook."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "shop"
        self.root.mkdir()
        self.git("init", "-q", "-b", "main", ".")
        self.commit("first")
        starting = Starting(command=["/bin/true"], variables={})
        self.bind: Bind = make(str(folder / "home"), "p-1", find(str(self.root)), "sparki", (), starting)
        self.objects = str(folder / "objects")

    def git(self, *words: str) -> str:
        who = ["-c", "user.name=Ann", "-c", "user.email=ann@example.com"]
        return subprocess.run(["git", *who, *words], cwd=self.root, check=True, capture_output=True, text=True).stdout.strip()

    def commit(self, message: str, settings: str = "") -> str:
        (self.root / "sparki.yml").write_text(settings)
        self.git("add", ".")
        self.git("commit", "-qm", message, "--allow-empty")
        return self.git("rev-parse", "HEAD")

    def update(self, ref: str = "refs/heads/main", after: str = "", before: str | None = None) -> Update:
        self.git("push", "-q", "--force", "--all", "sparki")
        self.git("push", "-q", "--tags", "sparki")
        return Update(ref=ref, before=before, after=after or self.git("rev-parse", "HEAD"), git_dir=self.bind.git_dir)


@pytest.fixture
def bound(tmp_path: Path) -> Bound:
    return Bound(tmp_path)


def test_refs_and_options_are_read_in_their_order() -> None:
    received = parse(f"option sparki.queue\noption a b=c\n{ZERO} {A} refs/heads/main\n{A} {B} refs/tags/v 1\nend\n".encode(), "/bare")

    assert received is not None
    assert received.options == ("sparki.queue", "a b=c")
    assert [(one.ref, one.before, one.after, one.name) for one in received.updates] == [
        ("refs/heads/main", None, A, "main"),
        ("refs/tags/v 1", A, B, "v 1"),
    ]


def test_names_that_are_no_utf8_stay_what_they_are() -> None:
    received = parse(b"%s %s refs/heads/caf\xe9\nend\n" % (ZERO.encode(), A.encode()), "/bare")

    assert received is not None
    assert received.updates[0].branch.encode("utf-8", "surrogateescape") == b"caf\xe9"


@pytest.mark.parametrize("text", ["", f"{ZERO} {A} refs/heads/ma", f"{ZERO} {A} refs/heads/main\n", f"{ZERO} {A}\nend\n"])
def test_what_was_cut_off_is_none(text: str) -> None:
    assert parse(text.encode(), "/bare") is None


@pytest.mark.parametrize(
    ("option", "hint"), [("sparki.skp", "did you mean 'sparki.skip'?"), ("sparki.nothing.like.it", "there are: sparki.skip, sparki.queue")]
)
def test_an_unknown_option_of_ours_is_a_problem(option: str, hint: str) -> None:
    received = parse(f"option {option}\noption ci.skip\n{ZERO} {A} refs/heads/main\nend\n".encode(), "/bare")

    assert received is not None
    assert [(problem.code, problem.hint) for problem in received.problems()] == [("unknown_push_option", hint)]


@pytest.mark.parametrize(
    ("message", "skips"),
    [
        ("fix [skip ci]", True),
        ("[ci skip] fix", True),
        ("fix\n\nlong [no ci] words", True),
        ("[skip actions]", True),
        ("[actions skip]", True),
        ("fix\n\n\nskip-checks: true", True),
        ("fix\n\n\nskip-checks:true\n", True),
        ("skip ci", False),
        ("fix\n\nwe no longer do skip-checks: true things", False),
        ("[Skip CI]", False),
    ],
)
def test_a_message_that_asks_to_be_skipped(message: str, skips: bool) -> None:
    assert asks_to_skip(b"tree 0\nauthor [skip ci] <a@b>\n\n" + message.encode()) is skips


def test_the_first_rule_that_fits_counts() -> None:
    text = b"environments: {a: {adapter: process, command: x}}\nbranches: {main: {run: ci}, 'v*': {deploy: a}, '**': {run: [x, y]}}\n"
    rules = read_settings(text).deploying.branches

    found = [first_rule(rules, name) for name in ("main", "v1", "v1/x", "side")]

    assert [rule.pattern if rule else None for rule in found] == ["main", "v*", "**", "**"]
    assert first_rule((), "main") is None


def test_the_rule_is_that_of_the_pushed_commit_and_not_of_the_working_tree(bound: Bound) -> None:
    bound.commit("rules", "branches: {main: {run: [ci]}}\n")
    update = bound.update()
    (bound.root / "sparki.yml").write_text("branches: {main: {run: [other]}}\n")

    judged = judge(update, bound.objects)

    assert judged.rule is not None
    assert judged.rule.run == ("ci",)


@pytest.mark.parametrize(
    ("branches", "tells"),
    [("", True), ("branches: {main: {run: [ci]}}\n", True), ("branches: {'v*': {deploy: live}}\n", False)],
)
def test_environments_that_no_push_would_reach_are_told(bound: Bound, branches: str, tells: bool) -> None:
    bound.commit("rules", "environments: {live: {adapter: process, command: x, branches: [main]}}\n" + branches)

    note = judge(bound.update(), bound.objects).note

    assert ("`main: {deploy: live}`" in note) is tells


def test_what_is_wrong_with_the_settings_is_told_with_its_place(bound: Bound) -> None:
    bound.commit("rules", "branches: {main: {rum: [ci]}}\n")

    with pytest.raises(SparkiError) as caught:
        judge(bound.update(), bound.objects)

    assert str(caught.value.problems[0].at) == "sparki.yml:1:19"


def test_deletions_notes_and_tags_of_no_commit_run_nothing(bound: Bound) -> None:
    bound.git("tag", "tree", "HEAD^{tree}")
    tree = bound.git("rev-parse", "tree")

    whys = [
        judge(update, bound.objects).why_not
        for update in (bound.update(after=ZERO), bound.update("refs/notes/commits"), bound.update("refs/tags/tree", tree))
    ]

    assert whys == ["it was deleted", "it is no branch and no tag", "it is a tag of no commit"]


def test_an_annotated_tag_is_of_its_commit(bound: Bound) -> None:
    bound.commit("rules", "branches: {'v*': {run: [ci]}}\n")
    bound.git("tag", "-a", "v1", "-m", "one")

    judged = judge(bound.update("refs/tags/v1", bound.git("rev-parse", "v1")), bound.objects)

    assert judged.rule is not None


def test_other_branches_are_where_they_stood_before_the_push(bound: Bound) -> None:
    first = bound.git("rev-parse", "HEAD")
    bound.git("branch", "old")
    second = bound.commit("second")
    bound.git("branch", "new")
    bound.update()
    received = parse(f"{first} {second} refs/heads/main\n{ZERO} {second} refs/heads/new\nend\n".encode(), bound.bind.git_dir)
    assert received is not None

    told = with_others(received, bound.bind.git_dir)

    assert [one.others for one in told.updates] == [{"refs/heads/main": first, "refs/heads/old": first}] * 2


def test_a_bind_whose_repository_is_gone_says_so(bound: Bound) -> None:
    update = bound.update()
    bound.root.rename(bound.root.parent / "moved")

    with pytest.raises(SparkiError) as caught:
        judge(update, bound.objects)

    assert caught.value.problems[0].code == "bound_repository_gone"


def test_a_bind_outlives_the_linked_working_tree_that_it_was_made_in(bound: Bound) -> None:
    bound.git("worktree", "add", "-q", "../linked")
    linked = bound.root.parent / "linked"
    starting = Starting(command=["/bin/true"], variables={})
    bound.bind = make(str(bound.root.parent / "home"), "p-1", find(str(linked)), "sparki", (), starting)
    bound.git("worktree", "remove", "../linked")

    assert judge(bound.update(), bound.objects).why_not == ""

"""Which contexts and functions an expression uses, seen without evaluating it."""

from __future__ import annotations

import pytest

from sparki_daemon.pipeline.expression.parser import parse
from sparki_daemon.pipeline.expression.references import Reference, calls, references, used
from sparki_daemon.pipeline.expression.template import trees


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("", []),
        ("'needs.x'", []),
        ("matrix", ["matrix"]),
        ("GitHub.Event.Ref", ["github.Event.Ref"]),
        ("secrets['TOKEN']", ["secrets.TOKEN"]),
        ("needs.build.outputs.version", ["needs.build.outputs.version"]),
        ("needs.*.result", ["needs.*.result"]),
        ("matrix.list[0]", ["matrix.list.0"]),
        ("needs[matrix.job].outputs[env.NAME]", ["needs.*.outputs.*", "matrix.job", "env.NAME"]),
        ("secrets[format('T_{0}', matrix.os)]", ["secrets.*", "matrix.os"]),
        ("fromJSON(needs.plan.outputs.m).include[matrix.i]", ["needs.plan.outputs.m", "matrix.i"]),
        ("(github.a || github.b).c", ["github.a", "github.b"]),
        ("!a.b && c != d", ["a.b", "c", "d"]),
        ("contains(github.event.labels.*.name, 'x') || github.ref", ["github.event.labels.*.name", "github.ref"]),
        ("toJSON(secrets)", ["secrets"]),
        ("a[b[c.d]]", ["a.*", "b.*", "c.d"]),
    ],
)
def test_an_expression_uses_these_paths(text: str, paths: list[str]) -> None:
    assert [str(reference) for reference in references(parse(text))] == paths


def test_a_use_tells_where_it_is() -> None:
    assert list(references(parse("x && needs.a['b.c']"))) == [Reference(("x",), 0), Reference(("needs", "a", "b.c"), 5)]


def test_all_uses_of_a_text_are_one_set() -> None:
    text = "${{ needs.x.outputs.y }}-${{ secrets.TOKEN }}-${{ matrix }}-${{ secrets.TOKEN }}"
    assert used(trees(text)) == {"needs.x.outputs.y", "secrets.TOKEN", "matrix"}


def test_calls_are_told_in_lower_case_wherever_they_stand() -> None:
    assert calls([parse("Always() && a[hashFiles('x')].b || !contains(toJSON(c), 'd')")]) == {"always", "hashfiles", "contains", "tojson"}
    assert calls([parse("github.always")]) == frozenset()

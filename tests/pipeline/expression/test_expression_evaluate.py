"""What an expression is worth in its place: contexts, functions of the place, limits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

import pytest

from sparki_daemon.pipeline.expression.error import ExpressionError
from sparki_daemon.pipeline.expression.evaluate import Scope, evaluate, evaluate_text
from sparki_daemon.pipeline.expression.parser import parse

EVENT = {
    "ref": "refs/heads/main",
    "event": {"commits": [{"id": "a1", "files": ["x", "y"]}, {"id": "b2", "files": ["z"]}, {"note": "none"}]},
}
SCOPE = Scope(
    {
        "github": EVENT,
        "env": {"Path": "/bin", "PATH": "/usr/bin"},
        "matrix": {"os": "linux", "n": 2},
        "empty": {},
        "list": [1, [2, 3], "x"],
    },
    {"success": lambda: True, "failure": lambda *jobs: len(jobs) > 0, "hashFiles": lambda *patterns: "+".join(map(str, patterns))},
)


def value(text: str, scope: Scope = SCOPE) -> object:
    return evaluate(parse(text), scope)


def refusal(text: str, scope: Scope = SCOPE) -> ExpressionError:
    with pytest.raises(ExpressionError) as caught:
        value(text, scope)
    return caught.value


class Reluctant(Mapping[str, object]):
    """A context that notes what is asked of it."""

    def __init__(self, **values: object) -> None:
        self.values_by_key = values
        self.asked: list[str] = []

    def __getitem__(self, key: str) -> object:
        self.asked.append(key)
        return self.values_by_key[key]

    def __contains__(self, key: object) -> bool:
        return key in self.values_by_key

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_by_key)

    def __len__(self) -> int:
        return len(self.values_by_key)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ("GITHUB.Ref", "refs/heads/main"),
        ("github['REF']", "refs/heads/main"),
        ("github.missing.deeper[0].*", []),
        ("github.missing.deeper", None),
        ("github.ref.length", None),
        ("list[0]", 1),
        ("list['1'][1]", 3),
        ("list[1.9][0.5]", 2),
        ("list[-0.5]", None),
        ("list[99999999999]", None),
        ("list[list]", None),
        ("list.length", None),
        ("empty['']", None),
        ("github[list]", None),
        ("github.event.commits.*.id", ["a1", "b2"]),
        ("github.event.commits.*.files.*", ["x", "y", "z"]),
        ("github.event.commits.*.files[0]", ["x", "z"]),
        ("github.event.commits[0].*", ["a1", ["x", "y"]]),
        ("(github.event.commits.*).id", ["a1", "b2"]),
        ("matrix.*", ["linux", 2]),
        ("matrix.os.*", []),
        ("matrix.os || 'none'", "linux"),
        ("matrix.cpu || 'none'", "none"),
        ("matrix.os && matrix.n", 2),
        ("matrix.cpu && matrix.n", None),
        ("false || '' || 0", 0),
        ("true && 1 && 'last'", "last"),
        ("!matrix.cpu", True),
        ("!matrix", False),
        ("github.event == github.event", True),
        ("github.event == matrix", False),
        ("matrix.n == '2'", True),
        ("1 < 2 == true", True),
    ],
)
def test_an_expression_has_this_value(text: str, expected: object) -> None:
    assert value(text) == expected


def test_env_alone_minds_the_case_of_its_names() -> None:
    assert value("env.Path") == "/bin"
    assert value("env['PATH']") == "/usr/bin"
    assert value("ENV.PATH") == "/usr/bin"
    assert value("env.path") is None
    assert value("(env).path") is None
    assert value("env[matrix]") is None
    assert value("env.*") == ["/bin", "/usr/bin"]
    assert value("matrix.OS") == "linux"


def test_a_context_may_fill_itself_on_use() -> None:
    secrets = Reluctant(TOKEN="t", OTHER="o")
    scope = Scope({"secrets": secrets, "needs": MappingProxyType({"build": MappingProxyType({"result": "success"})})})
    assert value("secrets.token", scope) == "t"
    assert secrets.asked == ["TOKEN"]
    assert value("needs.build.result == 'success'", scope) is True
    assert value("toJSON(needs.*)", scope) == '[\n  {\n    "result": "success"\n  }\n]'


def test_what_decides_early_leaves_the_rest_unevaluated() -> None:
    seen: list[object] = []
    scope = Scope({"list": [], "text": "a"}, {"see": lambda thing: seen.append(thing) or thing})
    for text in [
        "false && see(1)",
        "true || see(2)",
        "case(true, 'a', see(3))",
        "case(false, see(4), 'b')",
        "contains(list, see(5))",
        "startsWith(list, see(6))",
        "text[0][see(7)]",
        "format('{0}', 'x', see(8))",
        "join(list, see(9))",
        "join('one', see(10))",
    ]:
        value(text, scope)
    assert seen == []
    value("format('{1}{0}{1}', see('a'), see('b'))", scope)
    assert seen == ["b", "a"]


def test_each_argument_is_evaluated_once() -> None:
    seen: list[object] = []
    scope = Scope({"list": ["x"]}, {"see": lambda thing: seen.append(thing) or thing})
    for name in ("contains", "startsWith", "endsWith", "join", "format"):
        value(f"{name}(see('abc'), see('b'))", scope)
        value(f"{name}(see(list), see('x'))", scope)
    assert [str(thing) for thing in seen] == [
        *("abc", "b", "['x']", "x"),
        *("abc", "b", "['x']"),
        *("abc", "b", "['x']"),
        *("abc", "['x']"),
        *("abc", "['x']"),
    ]


def test_functions_of_the_place_are_found_in_any_case() -> None:
    assert value("SUCCESS()") is True
    assert value("Failure('build') && !failure()") is True
    assert value("hashfiles('a', matrix.n)") == "a+2"


def test_a_function_of_the_place_may_refuse_and_gets_its_place() -> None:
    def refuse() -> None:
        raise ExpressionError("evaluation", "no files here")

    error = refusal("true && refuse()", Scope({}, {"refuse": refuse}))
    assert (error.kind, error.message, error.offset) == ("evaluation", "no files here", 8)


def test_an_unknown_name_that_is_met_is_an_error() -> None:
    assert (refusal("1 && secret.x").kind, refusal("1 && secret.x").offset) == ("parsing", 5)
    assert refusal("githbu.ref").hint == "did you mean 'github'?"
    assert refusal("succes()").hint == "did you mean 'success'?"
    assert refusal("contains('a')").kind == "parsing"
    assert refusal("case(true, 1, 2, 3)").kind == "parsing"


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        ("x == format('{0}')", 5),
        ("fromJSON('{')", 0),
        ("1 && fromJSON('')", 5),
        ("case(1, 2, 3)", 5),
        ("case(false, 2, 'x', 4, 5)", 15),
        ("contains(fromJSON('oops'), 'x')", 9),
        ("format('{0:N2}', 1)", 0),
        ("format('{256}', 1)", 0),
        ("format('{00000000000000000000000000000001}', 1)", 0),
        ("format('{٠}', 1)", 0),
        ("format('{-1}', 1)", 0),
        ("format('{ 0}', 1)", 0),
    ],
)
def test_a_refused_value_is_told_at_the_function(text: str, offset: int) -> None:
    error = refusal(text, Scope({"x": 1}))
    assert (error.kind, error.offset) == ("evaluation", offset)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("format('{0}-{1}-{0}', 'a', 1)", "a-1-a"),
        ("format('{{{0}}}', 'a')", "{a}"),
        ("format('{0:}', 'a')", "a"),
        ("format('{00}', 'a')", "a"),
        ("format('{0}', '{1}')", "{1}"),
        ("format(1)", "1"),
        ("join(list)", "1,Array,x"),
        ("join(list, '')", "1Arrayx"),
        ("join(matrix.*, '-')", "linux-2"),
        ("join(matrix)", ""),
        ("contains(list, '1')", True),
        ("contains('aßb', 'SS')", False),
        ("contains('ÄÖ', 'ö')", True),
        ("contains(matrix, 'linux')", False),
        ("contains(12345, 34)", True),
        ("startsWith('Main', 'mA')", True),
        ("endsWith('Main', 'IN')", True),
        ("endsWith(list, '')", False),
        ("startsWith('a', list)", False),
        ("fromJSON(toJSON(list)) == list", False),
        ("toJSON(fromJSON('[1.0, 1e2, -0]'))", "[\n  1,\n  100,\n  0\n]"),
        ('fromJSON(\'{"A": {"b": [true]}}\').a.B[0]', True),
    ],
)
def test_a_function_gives_this_value(text: str, expected: object) -> None:
    assert value(text) == expected


def test_a_text_beyond_the_limit_is_refused_before_it_is_made() -> None:
    small = Scope({"list": ["x" * 50] * 10}, limit_bytes=200)
    assert value("format('{0}', list[0])", small) == "x" * 50
    assert refusal("format('{0}{0}{0}{0}{0}', list[0])", small).kind == "evaluation"
    assert refusal("join(list)", small).kind == "evaluation"
    assert refusal("toJSON(list)", small).kind == "evaluation"
    assert "100 characters" in refusal("join(list)", small).message
    huge = "format('" + "{0}" * 6000 + "', toJSON(list))"
    assert refusal(huge, Scope({"list": ["x" * 100_000]})).kind == "evaluation"


def test_texts_that_are_held_at_once_are_counted_together() -> None:
    small = Scope({"text": "x" * 60}, limit_bytes=250)
    assert refusal("contains(format('{0}', text), format('{0}{0}', text))", small).kind == "evaluation"
    assert (
        value("contains(format('{0}', text), 'y') || contains(format('{0}', text), 'y') || contains(format('{0}', text), 'x')", small)
        is True
    )


def test_a_lone_expression_is_checked_before_it_is_evaluated() -> None:
    assert evaluate_text("a.b == 1", {"A": {"B": 1}}) is True
    assert evaluate_text("", {}) is None
    assert evaluate_text("twice(2)", {}, {"twice": (lambda number: 2 * number, (1, 1))}) == 4
    for text in ("false && nothing.here", "false && nothing()", "false && contains('a')"):
        with pytest.raises(ExpressionError) as caught:
            evaluate_text(text, {"a": 1})
        assert (caught.value.kind, caught.value.offset) == ("parsing", 9)
    with pytest.raises(ExpressionError):
        evaluate_text("twice()", {}, {"twice": (lambda number: 2 * number, (1, 1))})


def test_a_lone_expression_has_one_mebibyte() -> None:
    contexts = {"text": "x" * 300_000}
    assert evaluate_text("contains(format('{0}', text), 'x')", contexts) is True
    with pytest.raises(ExpressionError) as caught:
        evaluate_text("contains(format('{0}{0}', text), 'x')", contexts)
    assert caught.value.kind == "evaluation"

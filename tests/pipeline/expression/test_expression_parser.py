"""What is an expression, what tree it has, and where an error is."""

from __future__ import annotations

import pytest

from sparki_daemon.pipeline.expression.error import ExpressionError
from sparki_daemon.pipeline.expression.parser import parse
from sparki_daemon.pipeline.expression.syntax import Call, Compare, Context, Index, Literal, Logical, Node, Not, Star, walk


def shape(node: Node) -> object:
    """The tree as nested lists, for reading."""
    match node:
        case Literal(value=value):
            return value
        case Context(name=name):
            return f"${name}"
        case Index(target=target, key=key):
            return ["[]", shape(target), shape(key)]
        case Star(target=target):
            return ["*", shape(target)]
        case Call(name=name, args=args):
            return [f"{name}()", *map(shape, args)]
        case Not(operand=operand):
            return ["!", shape(operand)]
        case Compare(op=op, left=left, right=right):
            return [op, shape(left), shape(right)]
        case Logical(op=op, operands=operands):
            return [op, *map(shape, operands)]


def refusal(text: str) -> ExpressionError:
    with pytest.raises(ExpressionError) as caught:
        parse(text)
    return caught.value


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("", None),
        (" \n\t ", None),
        ("a", "$a"),
        ("'it''s'", "it's"),
        ("''", ""),
        ("true", True),
        ("True", "$True"),
        ("-1.5", -1.5),
        ("0xff", 255),
        ("a.b.c", ["[]", ["[]", "$a", "b"], "c"]),
        ("a . b", ["[]", "$a", "b"]),
        ("a['b'][0]", ["[]", ["[]", "$a", "b"], 0]),
        ("a.*.b", ["[]", ["*", "$a"], "b"]),
        ("a[*].b", ["[]", ["*", "$a"], "b"]),
        ("a[ * ]", ["*", "$a"]),
        ("a[b.c].d", ["[]", ["[]", "$a", ["[]", "$b", "c"]], "d"]),
        ("a[b[c]]", ["[]", "$a", ["[]", "$b", "$c"]]),
        ("(a).b", ["[]", "$a", "b"]),
        ("a.null", ["[]", "$a", "null"]),
        ("a-b.c-d", ["[]", "$a-b", "c-d"]),
        ("f()", ["f()"]),
        ("f ( a , 1 )", ["f()", "$a", 1]),
        ("f(g(a), !b)", ["f()", ["g()", "$a"], ["!", "$b"]]),
        ("f(a).b[0]", ["[]", ["[]", ["f()", "$a"], "b"], 0]),
        ("!a.b", ["!", ["[]", "$a", "b"]]),
        ("!a == b", ["==", ["!", "$a"], "$b"]),
        ("a == !b", ["==", "$a", ["!", "$b"]]),
        ("!!a", ["!", ["!", "$a"]]),
        ("a < b == c < d", ["==", ["<", "$a", "$b"], ["<", "$c", "$d"]]),
        ("a == b == c", ["==", ["==", "$a", "$b"], "$c"]),
        ("a || b && c", ["||", "$a", ["&&", "$b", "$c"]]),
        ("(a || b) && c", ["&&", ["||", "$a", "$b"], "$c"]),
        ("a && b && c", ["&&", "$a", "$b", "$c"]),
        ("a && (b && c)", ["&&", "$a", "$b", "$c"]),
        ("a && b || c && d", ["||", ["&&", "$a", "$b"], ["&&", "$c", "$d"]]),
        ("a != 'x' && f(b) || !c", ["||", ["&&", ["!=", "$a", "x"], ["f()", "$b"]], ["!", "$c"]]),
        ("a[b == c && d]", ["[]", "$a", ["&&", ["==", "$b", "$c"], "$d"]]),
        ("f((a), (b || c))", ["f()", "$a", ["||", "$b", "$c"]]),
        ("a>=.5", [">=", "$a", 0.5]),
        ("a\u00a0==\u3000b", ["==", "$a", "$b"]),
    ],
)
def test_a_text_has_this_tree(text: str, tree: object) -> None:
    assert shape(parse(text)) == tree


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        ('"a"', 0),
        ('a == "b"', 5),
        ("a = b", 2),
        ("a & b", 2),
        ("a | b", 2),
        ("'open", 0),
        ("f('a''", 2),
        ("1.2.3", 0),
        ("a + b", 2),
        ("a-b + c", 4),
        ("1a", 0),
        ("$a", 0),
        ("a ? b", 2),
        ("a\x1cb", 0),
        ("é", 0),
        ("foo'bar'", 0),
        ("foo*", 0),
        ("a b @", 4),
    ],
)
def test_what_is_no_token_is_refused_where_it_stands(text: str, offset: int) -> None:
    error = refusal(text)
    # Tokens are judged in the order of the text, so a misplaced one hides a bad one behind it.
    expected = ("parsing", 2) if text == "a b @" else ("lexing", offset)
    assert (error.kind, error.offset) == expected


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        ("a b", 2),
        ("a 'b'", 2),
        ("1 1", 2),
        ("a f()", 2),
        ("== a", 0),
        ("a == == b", 5),
        ("a !b", 2),
        ("a ! = b", 2),
        (")", 0),
        ("a)", 1),
        ("(a))", 3),
        ("()", 1),
        ("f(,)", 2),
        ("f(a,)", 4),
        ("f(a,,b)", 4),
        ("f(a]", 3),
        ("a[b)", 3),
        ("a[]", 2),
        ("[a]", 0),
        ("(a, b)", 2),
        ("a[b, c]", 3),
        ("a, b", 1),
        ("*", 0),
        ("a == *", 5),
        ("f(*)", 2),
        ("a[(*)]", 3),
        ("a[* && 1]", 4),
        ("a[*.b]", 3),
        ("a[**]", 3),
        ("a..b", 2),
        ("a.'b'", 2),
        ("a.(b)", 2),
        ("a.1", 2),
        ("1.a", 0),
        ("'a'.b", 3),
        ("'a'[0]", 3),
        ("true.b", 4),
        ("a.b()", 3),
        ("(a)(b)", 3),
        ("f()()", 3),
        ("a.!", 2),
        ("a.[0]", 2),
    ],
)
def test_a_token_in_the_wrong_place_is_refused_there(text: str, offset: int) -> None:
    error = refusal(text)
    expected_kind = "lexing" if text == "1.a" else "parsing"
    assert (error.kind, error.offset) == (expected_kind, offset)


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        ("a ==", 2),
        ("!", 0),
        ("f(", 1),
        ("f(a", 2),
        ("f(a,", 3),
        ("(a", 1),
        ("a[", 1),
        ("a[0", 2),
        ("a.", 1),
        ("a[*", 2),
        ("a && (b || c", 11),
        ("(a) &&  ", 4),
    ],
)
def test_an_expression_that_ends_too_early_is_refused_at_its_last_token(text: str, offset: int) -> None:
    error = refusal(text)
    assert (error.kind, error.offset) == ("parsing", offset)
    assert "ends too early" in error.message


def test_errors_say_what_to_write_instead() -> None:
    assert refusal("a = 1").hint == "compare with '=='"
    assert refusal('a == "b"').hint == "a string takes single quotes: 'text'"
    assert refusal("a == 'b").hint == "a quote inside a string is written twice: ''"
    assert refusal("f(a[0, 1").hint == ""
    assert refusal("f(a").hint == "a '(' is not closed"
    assert str(refusal("a b")) == "unexpected 'b' (at character 3)"


def test_a_long_bad_token_is_shown_in_part() -> None:
    assert len(refusal("'" + "x" * 5000).message) < 100


def test_every_node_knows_where_it_begins() -> None:
    text = "  f(a.b, !c) == d['e'].* && 1"
    begins = [(type(node).__name__, node.offset) for node in walk(parse(text))]
    assert begins == [
        ("Logical", 2),
        ("Compare", 2),
        ("Call", 2),
        ("Index", 4),
        ("Context", 4),
        ("Literal", 6),
        ("Not", 9),
        ("Context", 10),
        ("Star", 16),
        ("Index", 16),
        ("Context", 16),
        ("Literal", 18),
        ("Literal", 28),
    ]


def test_a_part_of_a_text_is_read_with_the_offsets_of_the_whole() -> None:
    text = "echo ${{ a.b }} 'c'"
    assert shape(parse(text, 8, 13)) == ["[]", "$a", "b"]
    assert parse(text, 8, 13).offset == 9
    with pytest.raises(ExpressionError) as caught:
        parse("${{ a b }}", 3, 8)
    assert caught.value.offset == 6


def test_nothing_beyond_the_part_is_looked_at() -> None:
    assert shape(parse("a(", 0, 1)) == "$a"
    assert shape(parse("a == bc", 0, 6)) == ["==", "$a", "$b"]
    assert shape(parse("'a''b'", 0, 3)) == "a"
    assert shape(parse("1 <= 2.5", 0, 6)) == ["<=", 1, 2]


def test_fifty_levels_are_allowed_and_one_more_is_not() -> None:
    assert parse("!" * 49 + "a")
    assert refusal("!" * 50 + "a").kind == "parsing"
    assert parse("a" + ".b" * 49)
    assert refusal("a" + ".b" * 50).offset == 0
    assert parse("f(" * 49 + "a" + ")" * 49)
    assert "50 levels" in refusal("f(" * 50 + "a" + ")" * 50).message
    assert refusal("a" + "[0]" * 50).kind == "parsing"


def test_parentheses_and_chains_are_no_levels() -> None:
    assert shape(parse("(" * 10_000 + "a" + ")" * 10_000)) == "$a"
    assert parse(" && ".join(["a"] * 3000))
    assert parse(" || ".join(["a"] * 3000))
    assert refusal(" == ".join(["a"] * 60)).kind == "parsing"


def test_an_expression_has_21000_characters_at_most() -> None:
    assert shape(parse("'" + "x" * 20_998 + "'")) == "x" * 20_998
    error = refusal("'" + "x" * 20_999 + "'")
    assert (error.kind, error.offset) == ("parsing", 0)
    assert "21,000" in error.message


def test_trees_are_shared_and_cannot_be_changed() -> None:
    tree = parse("a.b")
    assert parse("a.b") is tree
    with pytest.raises(AttributeError):
        tree.offset = 5  # type: ignore[misc]

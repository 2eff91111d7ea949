"""YAML as GitHub reads it."""

from __future__ import annotations

import math
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sparki_daemon.model.problem import Problem, SparkiError
from sparki_daemon.pipeline.yaml_node import MappingNode, Node, ScalarNode, SequenceNode, SourceText, scalars_of
from sparki_daemon.pipeline.yaml_reader import MAX_BYTES, MAX_DEPTH, load, resolve


def plain(node: Node) -> Any:
    if isinstance(node, ScalarNode):
        return node.value
    if isinstance(node, SequenceNode):
        return [plain(item) for item in node.items]
    return {key.text: plain(value) for key, value in node.pairs}


def values(text: str) -> Any:
    return plain(load(text.encode(), "f.yml")[0])


def problem(data: bytes | str) -> Problem:
    with pytest.raises(SparkiError) as caught:
        load(data.encode() if isinstance(data, str) else data, "f.yml")
    assert all(found.at is not None and found.at.file == "f.yml" for found in caught.value.problems)
    return caught.value.problems[0]


def where(data: bytes | str) -> tuple[str, int, int]:
    found = problem(data)
    assert found.at is not None
    return found.code, found.at.line, found.at.column


@pytest.fixture(params=["libyaml", "pure"])
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "pure":
        monkeypatch.delattr(yaml, "CLoader")
    elif not hasattr(yaml, "CLoader"):
        pytest.skip("PyYAML was built without libyaml")
    return str(request.param)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"),
        ("yes", "yes"),
        ("off", "off"),
        ("true", True),
        ("False", False),
        ("tRue", "tRue"),
        ("012", 12),
        ("-0755", -755),
        ("+1", 1),
        ("0xfF", 255),
        ("0xFFFFFFFF", -1),
        ("0o17", 15),
        ("0o18", "0o18"),
        ("0b11", "0b11"),
        ("1_000", "1_000"),
        ("12:30:45", "12:30:45"),
        ("2001-01-01", "2001-01-01"),
        ("1.", 1),
        (".5", 0.5),
        ("1e3", 1000),
        ("-.inf", -math.inf),
        ("1.2.3", "1.2.3"),
        ("3.10", 3.1),
        ("", None),
        ("~", None),
        ("Null", None),
        (".", "."),
        ("-", "-"),
        ("1e", "1e"),
    ],
)
def test_a_plain_scalar_has_the_type_that_yaml_1_2_gives_it(text: str, value: object) -> None:
    assert resolve(text) == value
    assert type(resolve(text)) is type(value)


def test_the_negative_nan_is_no_number_and_the_plain_one_is() -> None:
    assert math.isnan(float(str(resolve(".nan"))))
    assert resolve("-.nan") == "-.nan"


def test_quoted_and_block_scalars_are_always_strings(parser: str) -> None:
    assert values("a: '1'\nb: \"true\"\nc: |\n  1\nd: >-\n  null\n") == {"a": "1", "b": "true", "c": "1\n", "d": "null"}


def test_a_tag_asks_for_a_type(parser: str) -> None:
    assert values('a: !!str 1\nb: !!int "1"\nc: !!float 1\nd: !!bool "true"\ne: !!null ""\nf: ! 1\n') == {
        "a": "1",
        "b": 1,
        "c": 1,
        "d": True,
        "e": None,
        "f": "1",
    }


@pytest.mark.parametrize(
    ("text", "code", "column"),
    [
        ("a: !!int x", "bad_tagged_value", 4),
        ("a: !!bool yes", "bad_tagged_value", 4),
        ("a: !!int 1.5", "bad_tagged_value", 4),
        ("a: !!int true", "bad_tagged_value", 4),
        ("a: !!timestamp 1", "unknown_tag", 4),
        ("a: !own 1", "unknown_tag", 4),
        ("a: 1e999", "number_out_of_range", 4),
        ("a: 0x1FFFFFFFF", "number_out_of_range", 4),
    ],
)
def test_a_value_that_its_tag_or_a_number_cannot_hold_is_an_error(parser: str, text: str, code: str, column: int) -> None:
    assert where(text) == (code, 1, column)


def test_every_key_and_value_knows_its_place(parser: str) -> None:
    root, _ = load(b"on: push\njobs:\n  a:\n    - {b: c}\n    - - d\n", "f.yml")

    assert [(node.text, node.line, node.column) for node in scalars_of(root)] == [("push", 1, 5), ("c", 4, 11), ("d", 5, 9)]
    assert isinstance(root, MappingNode)
    jobs = root.get("jobs")
    assert isinstance(jobs, MappingNode)
    assert (jobs.line, jobs.column) == (3, 3)
    assert root.get("JOBS") is None


def test_columns_count_characters_not_bytes(parser: str) -> None:
    root, _ = load("ü: {😀: ß, b: c}\n".encode(), "f.yml")

    assert [(node.text, node.column) for node in scalars_of(root)] == [("ß", 8), ("c", 14)]


def test_a_byte_order_mark_is_no_character(parser: str) -> None:
    root, _ = load(b"\xef\xbb\xbfa: b\r\nc: d\r\n", "f.yml")

    assert plain(root) == {"a": "b", "c": "d"}
    assert [(node.line, node.column) for node in scalars_of(root)] == [(1, 4), (2, 4)]


def test_an_alias_is_the_value_that_its_anchor_names(parser: str) -> None:
    assert values("a: &x {b: [1]}\nc: *x\nd: [*x, *x]\n&k e: *k\n") == {
        "a": {"b": [1]},
        "c": {"b": [1]},
        "d": [{"b": [1]}, {"b": [1]}],
        "e": "e",
    }


def test_a_merge_key_is_a_key_like_any_other(parser: str) -> None:
    assert values("a: &x {b: 1}\nc: {<<: *x}\n") == {"a": {"b": 1}, "c": {"<<": {"b": 1}}}


def test_keys_are_strings_whatever_they_look_like(parser: str) -> None:
    assert values("1.0: a\ntrue: b\n~: c\n012: d\n") == {"1": "a", "true": "b", "": "c", "12": "d"}


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a: 1\nA: 2\n", ("duplicate_key", 2, 1)),
        ("a: {b: 1, B: 2}\n", ("duplicate_key", 1, 11)),
        ("1: a\n1.0: b\n", ("duplicate_key", 2, 1)),
        ("ö: 1\nÖ: 2\n", ("duplicate_key", 2, 1)),
        ("? [a]\n: b\n", ("bad_mapping_key", 1, 3)),
        ("{{ a }}: b\n", ("bad_mapping_key", 1, 1)),
        ("a: {{ b }: c}\n", ("bad_mapping_key", 1, 5)),
        ("a: {{ b }, c}\n", ("bad_mapping_key", 1, 5)),
        ("a: {{ b: c }}\n", ("bad_mapping_key", 1, 5)),
        ("a: {[b]}\n", ("bad_mapping_key", 1, 5)),
        ("? {a}\n: b\n", ("bad_mapping_key", 1, 3)),
        ("a: {? {b} : c}\n", ("bad_mapping_key", 1, 7)),
        ("a: *b\n", ("unknown_anchor", 1, 4)),
        ("a: &a [*a]\n", ("recursive_alias", 1, 8)),
        ("a: b\n---\nc: d\n", ("several_documents", 2, 1)),
        ("a: @b\n", ("yaml_syntax", 1, 4)),
        ("a: b: c\n", ("yaml_syntax", 1, 5)),
        ("a: 'b\n", ("yaml_syntax", 2, 1)),
        ("a:\n\tb: c\n", ("yaml_syntax", 2, 1)),
        ("a: b\x00\n", ("yaml_syntax", 1, 5)),
        ("", ("empty_file", 1, 1)),
        ("\n# a comment\n", ("empty_file", 1, 1)),
    ],
)
def test_a_broken_file_is_told_with_its_place(parser: str, text: str, place: tuple[str, int, int]) -> None:
    assert where(text) == place


def test_all_duplicate_keys_are_told_at_once() -> None:
    with pytest.raises(SparkiError) as caught:
        load(b"a: 1\na: 2\nb: {c: 1, c: 2, c: 3}\n", "f.yml")

    assert [str(found.at) for found in caught.value.problems] == ["f.yml:2:1", "f.yml:3:11", "f.yml:3:17"]


def test_bytes_that_are_no_utf_8_are_an_error_at_their_place() -> None:
    assert where(b"a: b\nc: \xffd\n") == ("not_utf8", 2, 4)
    assert where("a: ü".encode("latin-1")) == ("not_utf8", 1, 4)
    assert where("a: b".encode("utf-16")) == ("not_utf8", 1, 1)


def test_a_file_over_one_mebibyte_is_not_even_looked_at() -> None:
    assert where(b"a: [" + b"x" * MAX_BYTES) == ("file_too_large", 1, 1)
    assert values("a: " + "x" * (MAX_BYTES - 3))["a"].startswith("xxx")


def test_fifty_levels_are_read_and_one_more_is_not(parser: str) -> None:
    assert values("[" * MAX_DEPTH + "]" * MAX_DEPTH) != []
    assert where("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1)) == ("yaml_too_deep", 1, 51)
    assert where("{a: " * 200_000) == ("yaml_too_deep", 1, 201)
    deep = "a: &a " + "[" * 30 + "]" * 30 + "\nb: " + "[" * 25 + "*a" + "]" * 25
    assert where(deep) == ("yaml_too_deep", 2, 29)


def test_a_bomb_of_aliases_is_an_error_at_the_alias_that_goes_too_far(parser: str) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]

    code, line, _ = where("\n".join(lines))

    assert (code, line) == ("yaml_too_large", 5)


def test_as_many_nodes_as_github_takes_are_read_and_no_more() -> None:
    assert len(values("[" + "1," * 49_998 + "]")) == 49_998
    assert where("[" + "1," * 50_000 + "]") == ("yaml_too_large", 1, 2 * 49_999 + 2)


@pytest.mark.parametrize(
    ("text", "needle", "place"),
    [
        ("a: ${{ x }}\n", "x", (1, 8)),
        ("a: one ${{ x }} two ${{ y }}\n", "y", (1, 25)),
        ("a: |\n  one\n\n    ${{ x +\n    y }}\n", "y", (5, 5)),
        ("a: |  # a comment\n  ${{ y }}\n", "y", (2, 7)),
        ("a: >-\n  one\n  two ${{ x\n  || y }}\n", "y", (4, 6)),
        ("a: 'it''s ${{ y }}'\n", "y", (1, 15)),
        ("a: '${{ x == ''b'' && y }}'\n", "y", (1, 23)),
        ('a: "q\\"${{ x ||\\"b\\"|| y }}"\n', "y", (1, 24)),
        ("a: one\n  two ${{ x\n  y }}\n", "y", (3, 3)),
        ("a: x == y\n", "y", (1, 9)),
        ("a: 'x == y'\n", "y", (1, 10)),
        ("a: |\n\n  x ==\n  y\n", "y", (4, 3)),
        ("a: |2\n    x == y\n", "y", (2, 10)),
    ],
)
def test_a_character_of_a_value_is_found_again_in_the_file(text: str, needle: str, place: tuple[int, int]) -> None:
    root, source = load(text.encode(), "f.yml")
    scalar = next(scalars_of(root))

    assert SourceText(source).place(scalar, scalar.text.rindex(needle)) == place


def test_a_character_that_an_escape_made_has_the_place_of_its_value() -> None:
    root, source = load(b'a: "${{ x \\u0079 }}"\n', "f.yml")
    scalar = next(scalars_of(root))

    assert SourceText(source).place(scalar, scalar.text.index("y") + 1) == (1, 4)


YAML_WORDS = "a b : - [ ] { } , &x *x !!int ! !< | >- ' \" \\ # % --- ... ? 1 0x ~ << ${{ }} ü 😀"
YAML_PIECES = st.sampled_from(
    [*YAML_WORDS.split(), ": ", "- ", "? ", " #", "\n", "  ", "\n  ", "\n    ", "|\n", ">-\n", "\t", "\r\n", "\x85", "\x00"]
)


def read_anything(data: bytes) -> tuple[Problem, ...]:
    """The problems of any bytes; for those that can be read, every character's place is asked for, too."""
    try:
        root, source = load(data, "f.yml")
    except SparkiError as error:
        return error.problems
    place = SourceText(source).place
    assert all(place(scalar, offset) >= (1, 1) for scalar in scalars_of(root) for offset in range(len(scalar.text) + 1))
    return ()


@settings(deadline=None)
@given(st.lists(YAML_PIECES, max_size=40).map("".join))
@example("!!binary")
@example("? ? ? ")
@example("- &x\n- *x")
def test_no_text_crashes_the_reader_and_every_error_has_a_place(text: str) -> None:
    found = read_anything(text.encode())

    lines = text.count("\n") + text.count("\r") + text.count("\x85") + 2
    assert all(each.at is not None and 1 <= each.at.line <= lines and each.at.column >= 1 for each in found)


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_crash_the_reader(data: bytes) -> None:
    assert all(each.at is not None for each in read_anything(data))


def test_a_gap_of_a_template_is_the_text_that_it_looks_like() -> None:
    root, _ = load(b"a: {{ groupId }}\nb: [{{x}}, { {y} }]\nc: '{{ z }}'\n", "ci.yml")

    assert [(scalar.value, scalar.line, scalar.column) for scalar in scalars_of(root)] == [
        ("{{ groupId }}", 1, 4),
        ("{{ x }}", 2, 5),
        ("{{ y }}", 2, 12),
        ("{{ z }}", 3, 4),
    ]

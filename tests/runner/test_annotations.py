"""Annotations: of workflow commands and of problem matchers; and the summary of a job."""

from __future__ import annotations

import json

import pytest
from driver import Driver, step

from sparki_daemon.runner.annotations import annotation_of
from sparki_daemon.runner.commands import parse
from sparki_daemon.runner.matchers import MatcherError, Matchers


@pytest.mark.parametrize(
    ("line", "place"),
    [
        ("::error file=a.c,line=1,endLine=2,title=T::m", ("a.c", 1, 2, None, None)),
        ("::error file=/w/a.c,line=3,col=4,endColumn=5::m", ("a.c", 3, None, 4, 5)),
        ("::error line=3,endLine=3,col=4::m", ("", 3, 3, 4, None)),
        ("::error line=3,endLine=4,col=4::m", ("", 3, 4, None, None)),
        ("::error endLine=4::m", ("", 4, 4, None, None)),
        ("::error line=2,endColumn=4::m", ("", 2, None, 4, 4)),
        ("::error col=4::m", ("", None, None, None, None)),
        ("::error line=5,endLine=4::m", ("", None, None, None, None)),
        ("::error line=5,col=4,endColumn=3::m", ("", 5, None, None, None)),
        ("::error line=x,col=-1::m", ("", None, None, None, None)),
    ],
)
def test_a_place_makes_sense_or_is_dropped(line: str, place: tuple[object, ...]) -> None:
    command = parse(line.encode())
    assert command
    found = annotation_of(command, "/w")

    assert found
    assert (found["file"], found["line"], found["end_line"], found["column"], found["end_column"]) == place
    assert (found["level"], found["message"]) == ("error", "m")


def test_annotations_are_records_of_their_step_without_secrets(runner: Driver) -> None:
    script = """
        echo "::add-mask::s3cret"
        echo "::warning file=src/x.py,line=3,title=A s3cret::it has s3cret in it%0Aand more"
        for n in $(seq 12); do echo "::error::number $n"; done; echo "::notice::seen"
    """
    first, second = runner.do(script, "echo '##[error]old style'").steps
    texts = [(one["level"], one["message"]) for one in first["annotations"]]

    assert first["annotations"][0] == {
        "level": "warning",
        "message": "it has *** in it\nand more",
        "title": "A ***",
        "file": "src/x.py",
        "line": 3,
        "end_line": None,
        "column": None,
        "end_column": None,
    }
    assert texts[1:] == [*[("error", f"number {n}") for n in range(1, 11)], ("notice", "seen")]
    assert [one["message"] for one in second["annotations"]] == ["old style"]


def matchers(*patterns: dict[str, object], **keys: object) -> Matchers:
    made = Matchers()
    made.workspace = "/w"
    made.add(json.dumps({"problemMatcher": [{"owner": "x", "pattern": patterns, **keys}]}).encode())
    return made


GCC = {"regexp": r"^(?<file>[^:]+):(\d+):(\d+):\s+(warning|error):\s+(.*)$", "file": 1, "line": 2, "column": 3, "severity": 4, "message": 5}


def told(found: list) -> list[tuple[object, ...]]:
    return [(one["level"], one["file"], one["line"], one["column"], one["title"], one["message"]) for one in found]


def test_a_matcher_makes_annotations_of_lines_wherever_they_are_cut() -> None:
    text = b"\x1b[31msrc/a.c:3:4: warning: odd\x1b[0m\r\nnothing\n/w/b.c:1:2: error: bad\nc.c:9:9: error: last"
    for cut in range(len(text)):
        made = matchers(GCC)
        found = [*made.feed(text[:cut]), *made.feed(text[cut:]), *made.flush()]
        assert told(found) == [
            ("warning", "src/a.c", 3, 4, "", "odd"),
            ("error", "b.c", 1, 2, "", "bad"),
            ("error", "c.c", 9, 9, "", "last"),
        ]


LINE = r"^\s+(\d+):(\d+)\s+(error|warning)\s+(.*?)\s\s+(.*)$"
ESLINT = (
    {"regexp": r"^([^\s].*)$", "file": 1},
    {
        "regexp": r"^\s+(\d+):(\d+)\s+(error|warning)\s+(.*?)\s\s+(.*)$",
        "line": 1,
        "column": 2,
        "severity": 3,
        "message": 4,
        "code": 5,
        "loop": True,
    },
)


def test_several_patterns_in_a_row_make_one_annotation_and_the_last_may_repeat() -> None:
    text = b"test.js\n  1:0  error  Missing  rule-a\n  5:10  warning  Odd  rule-b\n\n  6:1  error  Lost  rule-c\n"
    text += b"other.js\n  2:1  error  Bad  rule-d\n"

    assert told(matchers(*ESLINT).feed(text)) == [
        ("error", "test.js", 1, 0, "rule-a", "Missing"),
        ("warning", "test.js", 5, 10, "rule-b", "Odd"),
        ("error", "other.js", 2, 1, "rule-d", "Bad"),
    ]


def test_what_was_half_found_is_forgotten_at_a_steps_end() -> None:
    made = matchers(*ESLINT)
    made.feed(b"test.js\n")
    made.flush()

    assert made.feed(b"  1:0  error  Missing  rule-a\n") == []


def test_the_level_is_the_patterns_else_the_matchers_else_error() -> None:
    pattern = {"regexp": "^(.*)$", "message": 1}

    assert matchers(pattern, severity="notice").feed(b"x\n")[0]["level"] == "notice"
    assert matchers(pattern).feed(b"x\n")[0]["level"] == "error"
    assert matchers(GCC, severity="notice").feed(b"a:1:1: warning: m\n")[0]["level"] == "warning"


def test_the_newest_matcher_is_asked_first_and_replaces_one_of_its_owner() -> None:
    made = matchers({"regexp": "^(.*)$", "message": 1})
    made.add(json.dumps({"problemMatcher": [{"owner": "new", "pattern": [{"regexp": "^(x)", "message": 1}]}]}).encode())
    assert told(made.feed(b"xy\nzz\n")) == [("error", "", None, None, "", "x"), ("error", "", None, None, "", "zz")]

    made.remove("NEW")
    assert made.feed(b"xy\n")[0]["message"] == "xy"
    made.remove("x")
    assert not made.active


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "no JSON object"),
        ('{"problemMatcher": [{"owner": "a", "pattern": [{"regexp": "(", "message": 1}]}]}', "no regular expression"),
        ('{"problemMatcher": [{"owner": "a", "pattern": [{"regexp": "x"}]}]}', "needs 'message'"),
        ('{"problemMatcher": [{"owner": "a", "pattern": [{"regexp": "x", "message": 1, "loop": true}]}]}', "'loop'"),
        ('{"problemMatcher": [{"owner": "a", "pattern": []}]}', "no pattern"),
        ('{"problemMatcher": [{"owner": "", "pattern": []}]}', "no owner"),
    ],
)
def test_a_bad_matcher_file_is_told_and_adds_nothing(text: str, message: str) -> None:
    made = Matchers()
    with pytest.raises(MatcherError, match=message):
        made.add(text.encode())
    assert not made.active


def test_an_expression_that_takes_for_ever_is_given_up() -> None:
    made = matchers({"regexp": "^(a+)+$", "message": 1})

    assert made.feed(b"a" * 60 + b"b\n") == []
    assert "too slow" in made.trouble()
    assert not made.active


def test_jobs_add_and_remove_matchers_by_commands(runner: Driver) -> None:
    config = json.dumps({"problemMatcher": [{"owner": "gcc", "pattern": [GCC]}]})
    done = runner.do(
        f"echo '{config}' > m.json; echo ::add-mask::s3cret; echo ::add-matcher::m.json; echo 'a.c:1:2: error: s3cret is bad'",
        "echo 'b.c:1:2: warning: kept for later steps'; printf 'c.c:3:4: error: no line end'",
        "echo '::remove-matcher owner=gcc::'; echo 'd.c:1:2: error: none'",
        step("echo ::add-matcher::none.json", continue_on_error="true"),
    )

    assert [[one["message"] for one in record["annotations"]] for record in done.steps] == [
        ["*** is bad"],
        ["kept for later steps", "no line end"],
        [],
        [],
    ]
    assert "a.c:1:2: error: *** is bad" in done.log
    assert "Error: the problem matcher 'none.json' can't be read: No such file or directory" in done.log
    assert done.steps[3]["outcome"] == "failure"


def test_a_summary_is_kept_beside_the_log_without_secrets(runner: Driver) -> None:
    done = runner.do(
        "echo ::add-mask::s3cret; echo '# One s3cret' >> $GITHUB_STEP_SUMMARY",
        "true",
        "echo '# Three' > $GITHUB_STEP_SUMMARY; exit 1",
        step("head -c 1048577 /dev/zero > $GITHUB_STEP_SUMMARY", if_="always()"),
    )
    path = runner.home / "logs" / f"{done.end['job']}.summary.md"

    assert path.read_text() == "# One ***\n\n# Three\n"
    assert [record["summary"] for record in done.steps] == [10, 0, 9, 0]
    assert done.end["summary"] == path.stat().st_size == 19
    assert "Error: the summary is dropped: it has 1048577 bytes, and may have 1048576" in done.log
    assert done.conclusions[3] == "success"


def test_a_job_without_a_summary_makes_no_file(runner: Driver) -> None:
    done = runner.do("true")

    assert done.end["summary"] == 0
    assert not [*(runner.home / "logs").glob("*.md")]

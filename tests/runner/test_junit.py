"""The test reports of a job: counted, masked, bounded, and never a reason to fail."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from driver import Driver, step

from sparki_daemon.model.reported import ReportedTests
from sparki_daemon.runner import junit
from sparki_daemon.runner.junit import reported
from sparki_daemon.runner.junit_xml import MOST_TEXT, places
from sparki_daemon.runner.mask import Masker

PYTEST = """\
<?xml version="1.0" encoding="utf-8"?>
<testsuites><testsuite name="pytest" errors="1" failures="1" skipped="1" tests="4" time="0.5">
<testcase classname="tests.test_x.TestIt" name="test_a[&lt;1&gt;]" time="0.25">
<failure message="AssertionError: assert 1 == 2">def test_a():
&gt;       assert 1 == 2
tests/test_x.py:7: in test_a
lib/python3/site-packages/pluggy.py:3: AssertionError</failure></testcase>
<testcase classname="tests.test_x" name="test_b" time="0.25"/>
<testcase classname="tests.test_x" name="test_c"><skipped type="pytest.skip" message="no">x</skipped></testcase>
<testcase classname="tests.test_x" name="test_d"><error message="failed on setup">no fixture</error></testcase>
</testsuite></testsuites>
"""


def read(folder: Path, text: str | bytes, masker: Masker | None = None, name: str = "report.xml") -> ReportedTests:
    """What the reports of a workspace say, with one more in it."""
    (folder / name).write_bytes(text.encode() if isinstance(text, str) else text)
    tests = reported(str(folder), ["*.xml"], masker or Masker())
    assert tests is not None
    return tests


def suite(body: str) -> str:
    return f"<testsuite>{body}</testsuite>"


def failure(text: str, message: str = "") -> str:
    return suite(f'<testcase name="t" classname="c"><failure message="{message}">{text}</failure></testcase>')


def test_a_report_gives_counts_and_the_failing_tests_with_their_places(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/test_x.py").touch()

    tests = read(tmp_path, PYTEST)

    assert (tests["total"], tests["passed"], tests["failed"], tests["skipped"]) == (4, 1, 2, 1)
    assert (tests["duration_ms"], tests["reports"], tests["warnings"]) == (500, 1, [])
    first, second = tests["failing"]
    assert first == {
        "name": "test_a[<1>]",
        "suite": "tests.test_x.TestIt",
        "file": "tests/test_x.py",
        "line": 7,
        "message": "AssertionError: assert 1 == 2",
        "kind": "failure",
    }
    assert (second["name"], second["file"], second["line"], second["kind"]) == ("test_d", "", None, "error")


def test_a_place_that_the_report_names_is_taken_and_one_in_the_text_of_the_same_file_is_better(tmp_path: Path) -> None:
    (tmp_path / "a.py").touch()
    inside = str(tmp_path / "a.py")
    case = '<testcase name="t" classname="c" file="{file}" line="3"><failure>{text}</failure></testcase>'

    def place(file: str, text: str) -> tuple[str, int | None]:
        one = read(tmp_path, suite(case.format(file=file, text=text)))["failing"][0]
        return one["file"], one["line"]

    assert place("a.py", "no place") == ("a.py", 3)
    assert place(inside, "no place") == ("a.py", 3)
    assert place(inside, f'File "{inside}", line 9, in t') == ("a.py", 9)
    assert place("a.py", "b.py:12: x") == ("a.py", 3)


def test_the_suites_file_stands_for_its_tests(tmp_path: Path) -> None:
    text = '<testsuites><testsuite file="s.ts"><testcase name="t"><failure message="m"/></testcase></testsuite></testsuites>'

    assert read(tmp_path, text)["failing"][0]["file"] == "s.ts"


def test_the_last_place_of_a_text_comes_first() -> None:
    text = 'File "/w/a.py", line 3, in x\n  at Object.<anonymous> (/w/src/b.test.js:12:5)\nFooTest.java:7'

    assert places(text) == [("FooTest.java", 7), ("/w/src/b.test.js", 12), ("/w/a.py", 3)]


def test_a_test_that_was_tried_again_and_passed_has_passed(tmp_path: Path) -> None:
    assert read(tmp_path, suite('<testcase name="t"><flakyFailure message="m"/></testcase>'))["passed"] == 1


def test_a_test_with_a_failure_and_an_error_is_one(tmp_path: Path) -> None:
    tests = read(tmp_path, suite('<testcase name="t"><failure message="a"/><error message="b"/></testcase>'))

    assert (tests["failed"], [one["message"] for one in tests["failing"]]) == (1, ["a"])


def test_several_reports_are_one_and_a_broken_one_is_told_beside_the_others(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(PYTEST)
    (tmp_path / "broken.xml").write_text("<testsuite><testcase")
    (tmp_path / "other.xml").write_text("<project/>")

    tests = read(tmp_path, PYTEST)

    assert (tests["total"], tests["reports"]) == (8, 2)
    assert tests["warnings"] == [
        "broken.xml: it is no XML: unclosed token (line 1, column 12)",
        "other.xml: it is no test report: it begins with <project>",
    ]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"", "no element found"),
        (b'<?xml version="1.0" encoding="x-none"?><testsuite/>', "its encoding can't be read"),
        (b'<?xml version="1.0" encoding="shift_jis"?><testsuite/>', "its encoding can't be read"),
        (b"<testsuite>\xff\xfe</testsuite>", "not well-formed (invalid token)"),
        (b'<!DOCTYPE x [<!ENTITY a "b">]><testsuite>&a;</testsuite>', "it declares entities"),
        (b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><testsuite>&a;</testsuite>', "it declares entities"),
        (b'<!DOCTYPE x [<!ENTITY % a SYSTEM "x"> %a;]><testsuite/>', "it declares entities"),
        (b"<html><testcase/></html>", "no test report"),
    ],
)
def test_what_is_no_report_is_a_warning(tmp_path: Path, text: bytes, why: str) -> None:
    tests = read(tmp_path, text)

    assert tests["total"] == 0
    assert len(tests["warnings"]) == 1
    assert why in tests["warnings"][0]


def test_neither_links_nor_pipes_nor_folders_are_read(tmp_path: Path) -> None:
    outside = tmp_path / "outside.xml"
    outside.write_text(PYTEST)
    workspace = tmp_path / "w"
    workspace.mkdir()
    (workspace / "link.xml").symlink_to(outside)
    (workspace / "folder.xml").mkdir()
    os.mkfifo(workspace / "pipe.xml")

    tests = reported(str(workspace), ["*.xml"], Masker())

    assert tests is not None
    assert tests["total"] == 0
    assert sorted(warning.partition(":")[0] for warning in tests["warnings"]) == ["link.xml", "pipe.xml"]


def test_what_is_masked_stays_so_wherever_a_text_is_cut(tmp_path: Path) -> None:
    secret = "s3cret-" * 400
    masker = Masker([secret])
    text = f"{'x' * 10} {secret} " + f"{secret} " * (MOST_TEXT // len(secret) + 2)

    one = read(tmp_path, failure(text), masker)["failing"][0]

    assert one["message"].startswith("x" * 10 + " ***")
    assert "s3cret" not in one["message"]


def test_names_places_and_warnings_are_masked_too(tmp_path: Path) -> None:
    masker = Masker(["hunter2secret"])
    case = '<testcase name="t-SECRET" classname="c.SECRET" file="SECRET.py"><failure message="m SECRET"/></testcase>'

    (tmp_path / "hunter2secret.xml").write_text("<broken")
    tests = read(tmp_path, suite(case.replace("SECRET", "hunter2secret")), masker)

    assert "hunter2secret" not in str(tests)
    assert tests["failing"][0]["message"] == "m ***"
    assert tests["warnings"][0].startswith("***.xml: ")


def test_long_texts_many_failures_and_many_warnings_are_cut_but_counted(tmp_path: Path) -> None:
    many = "".join(f'<testcase name="t{n}"><failure message="{"m" * 5000}"/></testcase>' for n in range(150))
    for number in range(20):
        (tmp_path / f"z{number}.xml").write_text("<x/>")

    tests = read(tmp_path, suite(many))

    assert tests["failed"] == 150
    assert len(tests["failing"]) == junit.MOST_FAILING
    assert len(tests["failing"][0]["message"]) == junit.MOST_MESSAGE
    assert len(tests["warnings"]) == junit.MOST_WARNINGS


def test_a_report_that_is_too_long_is_not_read_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(junit, "MOST_BYTES", 1 << 20)

    tests = read(tmp_path, suite("<testcase name='t'/>" * 100_000))

    assert (tests["total"], tests["warnings"]) == (0, ["report.xml: it has more than 1 MiB"])


def test_patterns_that_fit_nothing_give_none_and_a_wrong_one_is_told(tmp_path: Path) -> None:
    assert reported(str(tmp_path), ["no/*.xml"], Masker()) is None
    wrong = reported(str(tmp_path), ["../*.xml"], Masker())
    assert wrong is not None
    assert "is no pattern" in wrong["warnings"][0]


def test_a_jobs_end_brings_what_its_reports_say_and_the_log_says_what_could_not_be_read(runner: Driver) -> None:
    write = f"cat > report.xml <<'END'\n{PYTEST}END\necho '<x' > report2.xml; exit 3"

    done = runner.do(step(write), junit=("report*.xml",))

    assert done.end["result"] == "failure"
    assert (done.end["tests"]["failed"], done.end["tests"]["failing"][0]["name"]) == (2, "test_a[<1>]")
    assert "Warning: test report report2.xml: it is no XML" in done.log


def test_masks_of_the_jobs_own_count_for_its_reports(runner: Driver) -> None:
    write = """echo ::add-mask::hunter2secret
echo '<testsuite><testcase name="t"><failure message="is hunter2secret"/></testcase></testsuite>' > r.xml"""

    done = runner.do(step(write), junit=("r.xml",))

    assert done.end["result"] == "success"
    assert done.end["tests"]["failing"][0]["message"] == "is ***"


def test_a_job_that_wrote_no_report_says_so_in_its_log_and_nowhere_else(runner: Driver) -> None:
    done = runner.do("true", junit=("r.xml",))

    assert "No test report fits r.xml\n" in done.log
    assert "tests" not in done.end

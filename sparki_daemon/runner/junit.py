"""The test reports that a job's steps wrote: found by its patterns, read within bounds, masked, and put together."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING

from sparki_daemon.model.reported import FailingTest, ReportedTests
from sparki_daemon.runner.file_patterns import BadPattern, find
from sparki_daemon.runner.junit_xml import BadReport, Failed, Report, parse, places

if TYPE_CHECKING:
    from sparki_daemon.runner.mask import Masker

MOST_REPORTS = 1000  # Gradle and Surefire write one a class
MOST_BYTES = 64 << 20  # of all reports of a job
MOST_FAILING = 100
MOST_WARNINGS = 10
MOST_MESSAGE = 1000  # characters, once it is masked
MOST_NAME = 300
_NOT_OURS = ("/site-packages/", "/node_modules/", "/dist-packages/")


def reported(workspace: str, patterns: Sequence[str], masker: Masker) -> ReportedTests | None:
    """What the reports say that fit. None: no file fits, the job has written none.

    Nothing of it fails the job: what can't be read is told in `warnings`.

    Failing tests stand in the order of the reports, 100 at most.
    """
    reading = _Reading(workspace, masker)
    try:
        found = list(islice(find("\n".join(patterns), workspace, folders=False), MOST_REPORTS + 1))
    except BadPattern as error:
        reading.warn(str(error))
        found = []
    if len(found) > MOST_REPORTS:
        reading.warn(f"there are more than {MOST_REPORTS} reports: the rest is not read")
    for path in found[:MOST_REPORTS]:
        reading.read(path)
    return reading.tests if found or reading.tests["warnings"] else None


class _Reading:
    """The reports of one job so far."""

    def __init__(self, workspace: str, masker: Masker) -> None:
        self._workspace = workspace
        self._masker = masker
        self._left_bytes = MOST_BYTES
        self.tests = ReportedTests(total=0, passed=0, failed=0, skipped=0, duration_ms=0, reports=0, failing=[], warnings=[])

    def warn(self, what: str) -> None:
        warnings = self.tests["warnings"]
        if len(warnings) < MOST_WARNINGS:
            warnings.append(self._masker.mask_text(what))

    def read(self, path: str) -> None:
        name = os.path.relpath(path, self._workspace)
        try:
            report = self._report(path)
        except BadReport as error:
            self.warn(f"{name}: {error}")
            return
        except OSError as error:
            self.warn(f"{name}: {error.strerror}")
            return
        tests = self.tests
        tests["reports"] += 1
        tests["total"] += report.total
        tests["failed"] += report.failed
        tests["skipped"] += report.skipped
        tests["passed"] += report.total - report.failed - report.skipped
        tests["duration_ms"] += round(report.seconds * 1000)
        tests["failing"] += [self._failing(one) for one in report.failing]

    def _report(self, path: str) -> Report:
        """Raises BadReport, OSError."""
        # Without waiting: a pipe that nobody writes to is no report. A link in the folder of the job may lead anywhere.
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
        with open(fd, "rb") as file:
            about = os.fstat(fd)
            if not stat.S_ISREG(about.st_mode):
                raise BadReport("it is no file")
            report = parse(file, most_bytes=self._left_bytes, most_failing=MOST_FAILING - len(self.tests["failing"]))
            self._left_bytes = max(0, self._left_bytes - about.st_size)
        return report

    def _failing(self, failed: Failed) -> FailingTest:
        file, line = self._place(failed)
        said = self._masked(failed.message).strip() or self._masked(failed.text, cut=failed.cut).strip()
        return FailingTest(
            name=self._masked(failed.name)[:MOST_NAME],
            suite=self._masked(failed.suite)[:MOST_NAME],
            file=self._masked(file),
            line=line,
            message=said[:MOST_MESSAGE],
            kind=failed.kind,
        )

    def _masked(self, text: str, *, cut: bool = False) -> str:
        """`text` without secrets. Of one that was cut somewhere, the end is left out that may be the beginning of a secret."""
        if not cut:
            return self._masker.mask_text(text)
        return self._masker.stream().feed(text.encode("utf-8", "replace")).decode("utf-8", "replace")

    def _place(self, failed: Failed) -> tuple[str, int | None]:
        """Where a test failed: the last place in its text that is a file of the workspace, else what the report says."""
        given = self._inside(failed.file)
        for file, line in places(failed.text):
            path = self._inside(file)
            if (not given or path == given) and self._is_ours(path):
                return path, line
        return given, failed.line

    def _inside(self, file: str) -> str:
        path = os.path.normpath(file) if file else ""
        return os.path.relpath(path, self._workspace) if path.startswith(f"{self._workspace}/") else path

    def _is_ours(self, path: str) -> bool:
        if path.startswith(("/", "../")) or any(part in f"/{path}" for part in _NOT_OURS):
            return False
        return os.path.isfile(os.path.join(self._workspace, path))

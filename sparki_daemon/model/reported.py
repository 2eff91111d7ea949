"""What the test reports of a job say: JSON in the runner's records, the journal and the public shapes, typed here."""

from __future__ import annotations

from typing import TypedDict


class FailingTest(TypedDict):
    """One test that failed, masked. `file` is relative to the workspace where it is in there; empty, and `line` None: not known."""

    name: str
    suite: str  # its class, or what stands for one
    file: str
    line: int | None  # from 1
    message: str
    kind: str  # failure (the test says no), error (it could not be done)


class ReportedTests(TypedDict):
    """All reports of one job together."""

    total: int
    passed: int
    failed: int  # of both kinds
    skipped: int
    duration_ms: int
    reports: int  # files
    failing: list[FailingTest]  # not more than so many: `failed` has them all
    warnings: list[str]  # what could not be read, masked

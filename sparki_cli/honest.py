"""`sparki run --check-inputs` and `--check-reproducible`: whether what jobs declare of their caches is true."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator

from sparki_cli.outcomes import differences
from sparki_cli.render import Output, printable
from sparki_cli.view import RunView
from sparki_daemon.client.engine import Engine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

Once = Callable[["dict[str, Any]", "list[RunView]"], int]
MOST = 10  # notes of a kind that are shown
APART_S = 1.1  # so much lies between the two runs at least: a time in seconds differs then


def check_inputs(output: Output, engine: Engine, request: dict[str, Any], once: Once) -> int:
    """Run with the reads of jobs with a cache traced, and tell what they read and did not declare; 1 if there is any.

    What the declaration could not tell (folders that were listed, files outside of the source) is a note, and no fault.
    """
    views: list[RunView] = []
    code = once(request, views)
    jobs = list(_checked(engine, views, request["directory"]))
    found = 0
    for run, job in jobs:
        kept = job["cache"].get("kept") or {}
        paths = kept.get("undeclared", [])
        found += len(paths) + ("note" in kept)
        if output.as_json:
            more = {name: kept.get(name, []) for name in ("listed", "outside")}
            output.document(_line("cache.undeclared", {"run": run, "job": job["id"], "files": paths, **more, "note": kept.get("note")}))
        else:
            _tell_reads(output, job["id"], kept)
    _say_the_end(output, len(jobs), "read nothing that is not declared" if not found else "")
    return code or (1 if found else 0)


def _tell_reads(output: Output, job: str, kept: dict[str, Any]) -> None:
    name = f"job '{printable(job)}'"
    for path in kept.get("undeclared", ()):
        output.line(f"{name} read {printable(path)}, which its cache does not declare")
    if "note" in kept:
        output.line(f"{name}: {printable(kept['note'])}")
    for key, why in (("listed", "listed {}: a new file there would not be noticed"), ("outside", "read {}, which no cache can declare")):
        paths = kept.get(key, ())
        for path in paths[:MOST]:
            output.note(f"note: {name} {why.format(printable(path))}")
        if len(paths) > MOST:
            output.note(f"note: {name}: {len(paths) - MOST} more like that, `--json` has them all")


def check_reproducible(output: Output, engine: Engine, request: dict[str, Any], once: Once) -> int:
    """Run twice, and tell what differs in jobs with a cache; 1 if anything does."""
    with tempfile.TemporaryDirectory(prefix="sparki-twice-") as scratch:
        runs: list[list[RunView]] = []
        codes: list[int] = []
        for name in ("first", "second"):
            views: list[RunView] = []
            folder = os.path.join(scratch, name)
            codes.append(once({**request, "no_cache": True, "copy_outputs_to": folder}, views))
            runs.append(views)
            if codes[-1] not in (0, 1):  # interrupted, or nobody listens any more
                return codes[-1]
            if name == "first":
                time.sleep(APART_S)
        return _compare(output, engine, request["directory"], runs, scratch) or max(codes)


def _compare(output: Output, engine: Engine, directory: str, runs: list[list[RunView]], scratch: str) -> int:
    first, second = (list(_checked(engine, views, directory)) for views in runs)
    found = 0
    for (run, before), (again, after) in zip(first, second, strict=False):
        folders = [os.path.join(scratch, name, before["id"]) for name in ("first", "second")]
        told = differences(before, after, *folders)
        found += len(told)
        if output.as_json:
            output.document(_line("cache.compared", {"runs": [run, again], "job": before["id"], "differences": told}))
            continue
        for difference in told:
            output.line(f"job '{printable(before['id'])}': {printable(difference)}")
    if len(first) != len(second):
        found += 1
        output.note(f"{len(first)} jobs were checked the first time, {len(second)} the second")
    _say_the_end(output, len(first), "gave the same twice" if not found else "")
    return 1 if found else 0


def _checked(engine: Engine, views: list[RunView], directory: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The jobs with a cache of some runs, each with its run."""
    for view in views:
        for job in engine.show_run(view.run, directory)["jobs"]:
            if job.get("cache"):
                yield view.run, job


def _say_the_end(output: Output, jobs: int, well: str) -> None:
    if not jobs:
        output.note("no job that ran declares a cache: there was nothing to check")
    elif well:
        output.note(f"{jobs} job{'' if jobs == 1 else 's'} with a cache {well}")


def _line(kind: str, data: dict[str, Any]) -> dict[str, Any]:
    now = time.time()
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now * 1000) % 1000:03}Z"
    return {"seq": 0, "time": stamp, "stream": "", "kind": kind, "data": data}

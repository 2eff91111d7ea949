"""`sparki cache`, and `run --explain`: the results of jobs that stand for later runs, and why a job ran all the same."""

from __future__ import annotations

from sparki_cli.connect import connect, own_directory
from sparki_cli.render import Output, duration, printable
from sparki_daemon.model.problem import Problem, SparkiError
from sparki_daemon.pipeline.amounts import size_bytes, size_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MOST_REASONS = 5  # of one job, told to people; `show --json` has more


def list_entries(output: Output, *, directory: str | None) -> int:
    """The results that are kept of this repository's jobs, the last used first."""
    found = connect(output).cache_entries(own_directory(directory))
    if output.as_json:
        output.document(found)
        return 0
    for entry in found["entries"]:
        took = duration(entry["duration_ms"])
        output.line(
            f"{entry['key'][:12]}  {size_text(entry['bytes']):>9}  {took:>7}  {entry['used']}  {printable(entry['job'])}  {entry['run']}"
        )
    count = len(found["entries"])
    output.note(f"{count} result{'' if count == 1 else 's'}, {size_text(found['bytes'])} of at most {size_text(found['limit'])}")
    return 0


def prune_entries(output: Output, *, everything: bool, max_size: str | None, directory: str | None) -> int:
    """Drop results; says which."""
    limit = 0 if everything else None
    if max_size is not None:
        limit = size_bytes(max_size)
        if limit is None:
            raise SparkiError(Problem(code="usage", message=f"'{max_size}' is no size", hint="such as 512 MiB or 5 GiB"))
    gone = connect(output).prune_cache(own_directory(directory), limit)
    if output.as_json:
        output.document(gone)
        return 0
    for entry in gone["evicted"]:
        output.line(f"gone: {printable(entry['job'])} of {entry['run']}, {size_text(entry['bytes'])}")
    if not gone["evicted"]:
        output.line("nothing had to go")
    return 0


def explain(output: Output, shown: dict[str, Any]) -> None:
    """Why each job of a run ran, or what stands for it."""
    output.line("")
    for job in shown["jobs"]:
        output.line(f"  {printable(job['name'])}: {_why(job)}")


def _why(job: dict[str, Any]) -> str:
    cache = job.get("cache")
    if job["cached"]:
        return f"from the cache: nothing has changed since {(cache or {}).get('against')}"
    if cache is None:
        return "it declares no cache" if job["status"] != "skipped" else "skipped"
    reasons = [printable(reason) for reason in cache.get("why", ())]
    more = [f"and {len(reasons) - MOST_REASONS} more"] if len(reasons) > MOST_REASONS else []
    against = f" (against {cache['against']})" if cache.get("against") else ""
    kept = cache.get("kept") or {}
    note = f"; {printable(kept['note'])}" if kept.get("note") else ""
    return f"ran: {'; '.join([*reasons[:MOST_REASONS], *more]) or 'nothing is known of why'}{against}{note}"

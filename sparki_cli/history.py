"""`sparki runs --flaky`, `--slow`, `--expensive`, and what `show` says of the past."""

from __future__ import annotations

from sparki_cli.render import Output, duration, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NOTHING = {
    "flaky": "no job came to different results on the same source in the last 200 runs",
    "slow": "no job was slower than its last 20 times",
    "expensive": "no job has run yet",
}
HEADERS = {
    "flaky": ("JOB", "PIPELINE", "TREES", "PASSED IN", "FAILED IN"),
    "slow": ("JOB", "PIPELINE", "TOOK", "USUALLY", "IN"),
    "expensive": ("JOB", "PIPELINE", "TIMES", "IN ALL", "EACH"),
}


def tell_jobs(output: Output, aspect: str, jobs: list[dict[str, Any]]) -> None:
    """The jobs that `aspect` has found."""
    if output.as_json:
        output.document({"jobs": jobs})
    elif jobs:
        output.table([(printable(job["name"]), printable(job["pipeline"]), *_cells(aspect, job)) for job in jobs], HEADERS[aspect])
    else:
        output.note(NOTHING[aspect])


def _cells(aspect: str, job: dict[str, Any]) -> tuple[str, str, str]:
    if aspect == "flaky":
        return str(job["trees"]), job["passed"], job["failed"]
    if aspect == "slow":
        return duration(job["took_ms"]), duration(job["usual_ms"]), job["run"]
    return str(job["runs"]), duration(job["total_ms"]), duration(job["total_ms"] / max(1, job["runs"]))


def of_run(output: Output, past: dict[str, Any], run: str) -> list[str]:
    """The lines of `show` about the past of the run; none where there is nothing to say."""
    lines = []
    if since := past["broken_since"]:
        lines.append(_broken(output, since, run))
    for job in past["flaky"]:
        ways = f"passed in {job['passed']}, failed in {job['failed']}"
        lines.append(f"  {output.styled('flaky:', 'yellow')} {printable(job['name'])}: same source, {ways}")
    for job in past["slow"]:
        times = f"{duration(job['took_ms'])}, usually {duration(job['usual_ms'])}"
        lines.append(f"  {output.styled('slower than usual:', 'yellow')} {printable(job['name'])}: {times}")
    return lines


def _broken(output: Output, since: dict[str, Any], run: str) -> str:
    first = "this run" if since["run"] == run else since["run"]
    at = f" (commit {since['commit'][:7]})" if since["commit"] else ""
    good = since["last_good"]
    if since.get("at_least"):  # only so many runs are looked at
        return f"  {output.styled('broken since at least', 'red')} {first}{at}; older runs were not looked at"
    before = f"; {good['run']} was good" + (f" ({good['commit'][:7]})" if good["commit"] else "") if good else "; no good run is known"
    return f"  {output.styled('broken since', 'red')} {first}{at}{before}"

"""What a push's own output tells: short, plain lines, as users of push-to-deploy platforms know them."""

from __future__ import annotations

from sparki_cli.render import Output, duration, printable
from sparki_cli.sink import Sink, job_status
from sparki_cli.summary import summary
from sparki_cli.view import RunView

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class PushSink(Sink):
    """Each job as it ends, behind its pipeline's name."""

    wants_jobs = True

    def event(self, view: RunView, event: dict[str, Any], line: bytes) -> None:  # noqa: ARG002  # a sink's signature
        if event["kind"] == "job.finished":
            job = view.jobs[event["data"]["job"]]
            self.output.line(
                f"  {self.output.glyph(job.status)} {printable(view.pipeline)} / {printable(job.name)}: {job_status(self.output, job)}"
            )


def told_update(output: Output, update: dict[str, Any]) -> str:
    """What a ref of the push has begun, or why nothing."""
    name = printable(update["ref"].removeprefix("refs/heads/").removeprefix("refs/tags/"))
    lines = [f"{name}: {printable(update['note'])}"] if update["note"] else []
    lines += [f"note: {printable(note['message'])}" for note in update["notes"]]
    lines += [f"{name}: {printable(run['pipeline'])} is {run['run']}" for run in update["runs"]]
    deployment = update["deployment"]
    if deployment:
        lines.append(f"{name}: goes to {printable(deployment['environment'])} when green, as {deployment['deployment']}")
    text = "".join(f"{line}\n" for line in lines)
    if update["problems"]:
        from sparki_daemon.model.problem import problem_from_json  # noqa: PLC0415  # few pushes have any

        text += "".join(output.problem(problem_from_json(problem)) for problem in update["problems"])
        text += f"{name} is pushed; " + ("it runs, and is not deployed\n" if update["runs"] else "nothing is run, and nothing deployed\n")
    return text


def told_run(output: Output, view: RunView, excerpts: list[dict[str, Any]]) -> str:
    """How a run ended: a line, and where it is red why."""
    if excerpts or view.status != "success":
        return summary(output, view, excerpts)
    took = f"  {duration(view.duration_ms(view.finished_ms))}" if view.finished_ms else ""
    return f"{output.glyph(view.status)} {printable(view.pipeline)}  {view.status}{took}  {view.run}\n"

"""What is known of a deployment, from what the engine shows and the events since; and the lines that say it. Pure."""

from __future__ import annotations

from sparki_cli.render import Output, duration, printable
from sparki_cli.view import milliseconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

ENDS = ("live", "failed", "reverted", "cancelled")
WORDS = {  # what happened to a step, by the event of its saga
    "done": "done",
    "seen_done": "done",
    "kept": "done",
    "failed": "failed",
    "cancelled": "cancelled",
    "rolled_back": "cancelled",
    "seen_unclear": "unknown",
}
EXCERPT_LINES = 20
GLYPHS = {
    "done": "success",
    "failed": "failure",
    "skipped": "skipped",
    "undone": "cancelled",
    "unknown": "lost",
    "running": "running",
    "undoing": "running",
}


class DeployView:
    """A deployment as its follower sees it."""

    def __init__(self, shown: dict[str, Any]) -> None:
        self.id: str = shown["id"]
        self.environment: str = shown["environment"]
        self.release: str = shown["release"]
        self.shown = shown
        self.status: str = shown["status"]
        self.reason: str = shown.get("reason") or ""
        self.waits: list[dict[str, Any]] = list(shown.get("waits") or ())
        self.usual_ms: dict[str, int] = dict(shown.get("usual_ms") or {})
        self.steps: dict[str, dict[str, Any]] = {step["name"]: dict(step) for step in shown["steps"]}
        self.created_ms = milliseconds(shown["created"])
        self.finished_ms: int | None = milliseconds(shown["finished"]) if shown.get("finished") else None

    @property
    def ended(self) -> bool:
        return self.status in ENDS

    @property
    def step(self) -> dict[str, Any] | None:
        """The step that is under way."""
        return next((step for step in self.steps.values() if step["status"] in ("running", "undoing")), None)

    def apply(self, event: dict[str, Any]) -> list[dict[str, Any]]:
        """Take an event of its stream; the steps that came to an end by it."""
        kind, data, time = event["kind"], event["data"], event["time"]
        if "status" in data:
            self.status = data["status"]
        if kind == "deployment.waiting":
            self.waits = data["waits"]
        elif kind == "deployment.claimed":
            self.waits = []
        elif kind == "deployment.finished":
            self.reason = data.get("reason") or self.reason
            self.finished_ms = milliseconds(time)
        elif kind == "deployment.step":
            return self._step(data, time)
        return []

    def _step(self, data: dict[str, Any], time: str) -> list[dict[str, Any]]:
        step = self.steps[data["step"]]
        back = data["direction"] == "back"
        if data["event"] == "begun":
            step.update(status="undoing" if back else "running", finished=None)
            step["started"] = step["started"] or time
            return []
        word = {"done": "undone", "failed": "unknown"}.get(data["event"]) if back else WORDS.get(data["event"])
        if word is None:
            return []
        given = data.get("data") or {}
        if not back and "skipped" in given:
            word = "skipped"
        step.update(status=word, reason=data.get("reason") or given.get("skipped", ""), finished=time)
        if not back and step["started"] and word != "skipped":
            step["took_ms"] = span_ms(milliseconds(step["started"]), milliseconds(time))
        return [step]

    def left_ms(self, now_ms: int) -> int | None:
        """How long it will take by its history; None: there is none, or it is on its way back."""
        if not self.usual_ms or any(step["status"] in ("undoing", "undone", "failed") for step in self.steps.values()):
            return None
        left = 0
        for name, step in self.steps.items():
            usual = self.usual_ms.get(name, 0)
            if step["status"] == "pending":
                left += usual
            elif step["status"] == "running":
                left += max(0, usual - (span_ms(milliseconds(step["started"]), now_ms) or 0))
        return left


def span_ms(since_ms: int, until_ms: int) -> int | None:
    """How long it took by the wall clock; None: that was set back meanwhile, so nobody can say."""
    return until_ms - since_ms if until_ms >= since_ms else None


def step_line(output: Output, step: dict[str, Any]) -> str:
    """One step that has ended."""
    took = duration(step["took_ms"]) if step.get("took_ms") is not None and step["status"] == "done" else ""
    words = [step["does"] if step["status"] == "done" else f"{step['does']}: {step['status']}", output.styled(took, "dim")]
    line = f"  {output.glyph(GLYPHS.get(step['status'], ''))} " + "  ".join(word for word in words if word)
    reason = step["reason"].partition("\n")[0].removesuffix("; its last lines:")  # all of it ends the summary
    return line + (f"\n      {printable(reason)}" if reason and step["status"] != "done" else "")


def waits_line(waits: list[dict[str, Any]]) -> str:
    """What a deployment waits for, in words."""
    return "waits for " + "; ".join(_wait(one) for one in waits)


def _wait(one: dict[str, Any]) -> str:
    what = one["for"]
    if what == "approval":
        missing = one["needed"] - len(one["given"])
        who = " of somebody else than its author" if one.get("not_author") else ""
        return f"{missing} approval{'s' if missing > 1 else ''}{who} (sparki approve)"
    if what == "environment":
        return f"the same source to be live and healthy in {one['environment']}"
    if what == "freeze":
        return f"the end of a freeze at {one['until']} (--override passes over it)"
    if what == "target":
        return f"deployment {one['deployment']} to let the target go"
    if what == "run":
        return f"run {', '.join(one['runs'])}"
    return str(what)


def now_line(output: Output, view: DeployView, now_ms: int) -> str:
    """What is going on, on one line."""
    step = view.step
    if view.status == "waiting" and view.waits:
        return f"  {output.glyph('waiting')} {printable(waits_line(view.waits))}"
    if step is None:
        return f"  {output.glyph('queued')} {view.status}"
    took = duration(span_ms(milliseconds(step["started"]), now_ms) or 0)
    left = view.left_ms(now_ms)
    tail = f", about {duration(left)} left" if left else ""
    verb = f"taking back: {step['does']}" if step["status"] == "undoing" else step["does"]
    return f"  {output.glyph('running')} {verb}  {output.styled(took + tail, 'dim')}"


def summary(output: Output, view: DeployView) -> str:
    """How it ended."""
    shown = view.shown
    number = f"release {shown['number']} ({shown['commit'][:10]})" if shown.get("number") else view.release
    took_ms = span_ms(view.created_ms, view.finished_ms) if view.finished_ms else None
    took = f" in {duration(took_ms)}" if took_ms is not None else ""
    said = {
        "live": f"{number} is live in {view.environment}{took}",
        "failed": f"{number} did not go live in {view.environment}; what served before serves on",
        "reverted": f"{number} was taken back in {view.environment}; what served before serves again",
        "cancelled": f"the deployment to {view.environment} was cancelled",
        "unknown": f"how the deployment to {view.environment} ended is unknown: a person must look",
    }.get(view.status, f"{view.id}: {view.status}")
    lines = [f"{output.glyph(view.status)} {output.styled(said, 'bold')}"]
    if view.reason and view.status != "live":
        lines.append(_excerpt(view.reason))
    if view.status == "unknown":
        lines.append(f"  then: sparki resolve {view.id} --live, --failed or --retry")
    return "\n".join(lines) + "\n"


def _excerpt(reason: str) -> str:
    """A reason of several lines, as a terminal may have it: the first says what happened, the others what a program said of it."""
    first, *rest = reason.splitlines()
    left = len(rest) - EXCERPT_LINES
    shown = [f"  {printable(first)}", *(f"    {printable(line)}" for line in rest[:EXCERPT_LINES])]
    return "\n".join([*shown, f"    … and {left} more line{'s' if left > 1 else ''}"] if left > 0 else shown)

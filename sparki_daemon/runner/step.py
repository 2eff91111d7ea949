"""One step: whether it runs, what it runs, how it ended."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sparki_daemon.model.dataclass import dataclass
from sparki_daemon.model.plan import StepPlan, Template
from sparki_daemon.pipeline.actions import is_local
from sparki_daemon.runner import launch
from sparki_daemon.runner.child import Child, exit_code
from sparki_daemon.runner.effects import Effects
from sparki_daemon.runner.frame import Frame
from sparki_daemon.runner.hold import hold
from sparki_daemon.runner.others import stands_for
from sparki_daemon.runner.scope import CANCELLED, FAILURE, SKIPPED, SUCCESS, BadValue
from sparki_daemon.runner.shells import ShellError

if TYPE_CHECKING:
    from sparki_daemon.runner.job import Job
    from sparki_daemon.runner.output import Obeys

ALWAYS = Template("always()")
_MOST_SIGNAL = 64  # Linux's SIGRTMAX: a shell gives 128 + n for what signal n killed


@dataclass(frozen=True, slots=True)
class Post:
    """What a step does once all steps of its job are done, or before the first."""

    title: str
    condition: Template
    state: dict[str, str]  # what the step has left for it
    start: Callable[[Step], launch.Start]
    index: int = 0  # of what comes before the first step, from below 0; the others are counted as they begin


class Step:
    """A step of `job`, from its condition to its end.

    With `outer` one within a composite action; with `post` the end of one, or with `pre` too its beginning.
    """

    def __init__(
        self, job: Job, plan: StepPlan, frame: Frame, *, outer: Step | None = None, post: Post | None = None, pre: bool = False
    ) -> None:
        self.job = job
        self.plan = plan
        self.frame = frame
        self.scope = frame.scope
        self.effects: Effects = Effects(job, frame, outer.effects if outer else None)
        self.is_own = outer is None  # a step of the job, of no action
        self.is_pre = pre
        if self.is_own and (pre or not post):
            self.effects.state = job.states.setdefault(plan.index, {})  # pre, main and post share it
        self.own_env: dict[str, str] = {}
        self.child: Child | None = None
        self.within: Step | None = None  # the one that runs of a composite action's
        self.conclusion = SKIPPED
        self.title = ""
        self.timed_out = False
        self.held = False
        self.ran_with: tuple[dict[str, str], str] | None = None  # the environment and the folder of its process
        self._outer = outer
        self._index = post.index if post else plan.index  # of its record; a post's is the next behind those of the plan's steps
        self._post = post
        self._condition = post.condition if post else plan.condition
        self._before: Obeys | None = None
        self._exit_code: int | None = None
        self._cancelled = False
        self._spared = True  # continue-on-error may make a failure good; not one of env or `if`
        self._from = 0
        self._begun = 0.0
        self._told = False  # its beginning, and not its end

    @property
    def state(self) -> dict[str, str]:
        """What a step gets from what ran before it of the same action."""
        return self._post.state if self._post and not self.is_pre else self.effects.state

    @property
    def is_post(self) -> bool:
        return self._post is not None

    @property
    def reason(self) -> str:
        return self.effects.reason

    # -- from beginning to end -----------------------------------------------------------------------------------------

    def run(self) -> None:
        """Do the step, if it is to be done, and tell what became of it."""
        scope, frame = self.scope, self.frame
        wanted, refused = True, ""
        base = {**self.job.env, **frame.env} if frame.env else self.job.env
        scope.set_env(base)
        scope.enter(frame.action_name(self.plan), launch.action_variables(self.plan.uses))
        try:
            if self.plan.env:
                self.own_env = scope.pairs(self.plan.env, "env")
                scope.set_env({**base, **self.own_env})
            self.title = self._title()
            wanted = scope.holds(self._condition)
        except BadValue as error:
            refused, self._spared = str(error), False
        self._begin(wanted=wanted)
        if not wanted:
            if self.is_own:
                self.job.ahead.drop(self.plan.index)
            self._finish(SKIPPED, SKIPPED)
            return
        if refused:
            self.effects.fail(refused)
        else:
            self._do()
        self.job.output.settle()  # the last line may be a command that has no line end
        self.effects.read_files()
        outcome = self._outcome()
        conclusion = self._conclusion(outcome)
        if conclusion == FAILURE and not self.held:
            self._hold()
        self._finish(outcome, conclusion)

    def _hold(self) -> None:
        """Let somebody look at the failure; what they write for later steps counts as the step's own."""
        held_s = hold(self)
        if held_s:
            self._begun += held_s
            step: Step | None = self
            while step:  # a composite action fails with its step: that was looked at
                step.held, step = True, step._outer  # noqa: SLF001  # of the same class
            self.effects.read_files()

    def ask_to_stop(self) -> None:
        """The job was cancelled: the step goes on only if its `if` still lets it."""
        try:
            stays = self.scope.holds(self._condition)
        except BadValue:
            stays = False
        if not stays and (self.child or self.within):
            self._cancelled = True
            if self.child:
                self.child.stop()
        if self.within:
            if not stays:
                self.within.scope.worsen(CANCELLED)
            self.within.ask_to_stop()

    def stop(self) -> None:
        """End what runs of it by the ladder, whatever it says."""
        if self.within:
            self.within.stop()
        if self.child:
            self._cancelled = self._outer is not None
            self.child.stop()

    def kill(self) -> None:
        """End it at once."""
        if self.within:
            self._cancelled = True
            self.within.kill()
        if self.child:
            self._cancelled = True
            self.child.kill()

    def skip(self) -> None:
        """Tell that the step was never begun."""
        self.title = self._plain_title()
        self._begin(wanted=False)
        self._finish(SKIPPED, SKIPPED)

    def abandon(self, reason: str) -> None:
        """The runner made a mistake in here: end what runs, and tell the step's end if its beginning was told."""
        if self.within:
            self.within.abandon(reason)
        if self.child:
            self.child.kill()
        self.job.host.loop.drop("step")
        if not self._post:
            self.scope.record_step(self.plan.id, FAILURE, FAILURE, self.effects.outputs)
        if self._told:
            self.effects.reason = reason
            self._tell_end(FAILURE, FAILURE, self.job.output.size)

    def _begin(self, *, wanted: bool) -> None:
        job = self.job
        self.title = job.output.masker.mask_text(self.title or self._plain_title())
        self._begun = time.monotonic()
        if self._post and not self.is_pre:
            self._index = len(job.plan.steps) + job.posts_begun
            job.posts_begun += 1
        if self._outer:
            self._before = job.output.enter(self.title, self.effects)
            return
        self._from = job.output.begin(self.title, self.effects)
        (job.write if wanted else job.hold)({"kind": "step.started", **self._record()})
        self._told = True

    def outermost_record(self) -> dict[str, Any]:
        """What records say of the step, or of the one of the plan that it is within."""
        return self._outer.outermost_record() if self._outer else self._record()

    def _record(self) -> dict[str, Any]:
        post = {"post": True} if self._post else {}
        return {"step": self._index, "name": self.title, "from": self._from, **post}

    def _do(self) -> None:
        limits, loop = self.job.host.limits, self.job.host.loop
        try:
            minutes = self.scope.minutes(self.plan.timeout_minutes) if self.plan.timeout_minutes else 0
            if minutes > 0:
                loop.after("step", minutes * limits.minute_s, lambda: self._time_out(minutes))
            self._work()
        except (BadValue, ShellError) as error:
            self.effects.fail(str(error))
        except (OSError, ValueError) as error:
            self.effects.fail(f"the step could not be started: {launch.why(error)}")
        if not self._outer:
            loop.drop("step")

    def _work(self) -> None:
        if self._post:
            self.run_process(self._post.start(self))
        elif self.plan.run is not None:
            start, path = launch.script(self)
            try:
                self.run_process(start)
            finally:
                launch.remove(path)
        elif is_local(self.plan.uses) or stands_for(self.job, self.plan.uses):
            from sparki_daemon.runner import local_action  # noqa: PLC0415  # it loads YAML

            local_action.run(self)
        else:
            action = launch.find_native(self.plan.uses)
            if action.post:
                self.leave_for_later(Template(action.post_if), lambda step: launch.native(step, action, post=True))
            self.run_process(launch.native(self, action, post=False))

    def leave_for_later(self, condition: Template, start: Callable[[Step], launch.Start]) -> None:
        """Have something started at the job's end, after what is left for later from now on."""
        title = self._main_title() if self.is_pre else self.title
        post = Post(f"Post {title}", condition, self.effects.state, start)
        self.job.posts.append(Step(self.job, self.plan, self.frame, post=post))

    def run_process(self, start: launch.Start) -> None:
        """Start a process, and wait for its end. Raises OSError and ValueError where it can't be started."""
        loop, output = self.job.host.loop, self.job.output
        child = self.child = Child(loop, start(), self.job.host.limits)
        if self.job.forced:
            self.kill()
        self.job.ahead.begin(self)
        while child.status is None:
            loop.turn()
        output.drain()
        while output.stalled and not self.job.forced:  # a full disk: the rest is still in the pipe
            loop.turn()
            output.drain()
        self.child = None
        self._exit_code = exit_code(child.status)

    def _time_out(self, minutes: int) -> None:
        self.timed_out = True
        self.effects.reason = f"timed out after {minutes} minute{'' if minutes == 1 else 's'}"
        self.stop()

    # -- how it ended --------------------------------------------------------------------------------------------------

    def _outcome(self) -> str:
        """Success, failure or cancelled; says in the log and in `reason` why, where nothing else did."""
        code, effects, output = self._exit_code, self.effects, self.job.output
        if self._cancelled:
            effects.reason = "cancelled"
            output.line("Error: the step was cancelled")
            return CANCELLED
        if self.timed_out:
            output.line(f"Error: the step {effects.reason} and was ended")
            return FAILURE
        if code and not effects.failed:
            effects.reason = f"exit code {code} (signal {code - 128})" if 128 < code <= 128 + _MOST_SIGNAL else f"exit code {code}"
            output.line(f"Error: the step ended with {effects.reason}")
        return FAILURE if code or effects.failed else SUCCESS

    def _conclusion(self, outcome: str) -> str:
        template = self.plan.continue_on_error
        if outcome != FAILURE or template is None or not self._spared:
            return outcome
        try:
            return SUCCESS if self.scope.truth(template, "continue-on-error") else FAILURE
        except BadValue as error:
            self.job.output.line(f"Error: {error}")
            return FAILURE

    def _finish(self, outcome: str, conclusion: str) -> None:
        job = self.job
        self.conclusion = conclusion
        self.scope.worsen(conclusion)
        if not self._post:
            self.scope.record_step(self.plan.id, outcome, conclusion, self.effects.outputs)
        if self._outer:
            job.output.leave(self._before)
            return
        self._tell_end(outcome, conclusion, job.output.end())

    def _tell_end(self, outcome: str, conclusion: str, end: int) -> None:
        job, effects = self.job, self.effects
        self._told = False
        job.host.last_step_s = time.monotonic() - self._begun
        job.hold({
            "kind": "step.finished",
            **self._record(),
            "outcome": outcome,
            "conclusion": conclusion,
            "exit_code": self._exit_code,
            "duration_ms": 0 if outcome == SKIPPED else round(job.host.last_step_s * 1000),
            "to": end,
            "reason": job.output.masker.mask_text(effects.reason),
            "left": [],
            "annotations": effects.annotations,
            "summary": effects.summary_bytes,
        })  # fmt: skip

    def _title(self) -> str:
        name, script = self.plan.name, self.plan.run
        if name and not self._post:
            return _first_line(self.scope.text(name, "name"))  # nothing of it: the plain one
        if script and "${{" in script.text:
            try:
                return f"Run {_first_line(self.scope.text(script, 'run'))}"
            except BadValue:  # told when the script itself is evaluated
                return self._plain_title()
        return self._plain_title()

    def _plain_title(self) -> str:
        if self._post:
            return f"Pre {self._main_title()}" if self.is_pre else self._post.title
        return self._main_title()

    def _main_title(self) -> str:
        if self.plan.name and "${{" not in self.plan.name.text and (name := _first_line(self.plan.name.text)):
            return name
        if self.plan.run is None:
            return f"Run {self.plan.uses}"
        return f"Run {_first_line(self.plan.run.text)}"


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0].partition("\r")[0].rstrip()

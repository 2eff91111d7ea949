"""One job from its first record to its last: folders, contexts, steps, outputs, and nothing left behind."""

from __future__ import annotations

import contextlib
import math
import os
import sys
from collections import deque
from collections.abc import Callable
from typing import Any

from sparki_daemon.model.dataclass import dataclass, field
from sparki_daemon.model.plan import JobPlan, StepPlan
from sparki_daemon.model.reported import ReportedTests
from sparki_daemon.model.spec import CacheSpec, JobSpec
from sparki_daemon.runner import kept, tracer
from sparki_daemon.runner.ahead import Ahead
from sparki_daemon.runner.child import Limits
from sparki_daemon.runner.environment import job_layer, own_programs, runner_context, with_paths
from sparki_daemon.runner.frame import Frame
from sparki_daemon.runner.link import Link
from sparki_daemon.runner.loop import Loop
from sparki_daemon.runner.output import Output
from sparki_daemon.runner.programs import Programs
from sparki_daemon.runner.run_file import RunFile, RunFiles
from sparki_daemon.runner.scope import CANCELLED, FAILURE, LOST, SUCCESS, BadValue, JobScope
from sparki_daemon.runner.spool import Spool
from sparki_daemon.runner.step import Step
from sparki_daemon.runner.summary import Summary
from sparki_daemon.runner.workspace import ENV_FILES, Folders
from sparki_daemon.system.clock import now_ms
from sparki_daemon.system.files import write_atomic
from sparki_daemon.system.nonce import VARIABLE

ORPHANED = "the supervisor died"
FEW_AHEAD = 2  # with fewer jobs in hand the builder hears of an end at once, so that the next ones are here before these are done


@dataclass(slots=True)
class Host:
    """What a runner has for all its jobs."""

    name: str
    home: str
    loop: Loop
    spool: Spool
    link: Link
    limits: Limits
    folders: Folders
    mark: str  # the beginning of all its jobs' nonces
    waiting: deque[JobSpec] = field(default_factory=deque)  # what it is to do after the present one
    run_files: RunFiles = field(default_factory=RunFiles)
    programs: Programs = field(default_factory=Programs)
    last_step_s: float = math.inf  # what the last step took, of whatever job
    look_ahead: Callable[[], None] = lambda: None  # called while the last step of a job runs
    next: Job | None = None  # the job that comes after the present one, made ready
    lasting: bool = True  # the state folder outlives this process


class Job:
    """One attempt at a job. Use: `run()`, once; meanwhile `cancel` and `orphan` may be called from the loop."""

    plan: JobPlan
    run_file: RunFile
    env: dict[str, str]  # what the env context has beside a step's own: the workflow's, the job's, that of GITHUB_ENV
    base_env: dict[str, str]  # variables below it
    fixed_env: dict[str, str]  # and above it
    frame: Frame  # of its own steps

    def __init__(self, host: Host, spec: JobSpec) -> None:
        self.host = host
        self.uid, self.epoch = spec["job"], spec["epoch"]
        self.work, self.temp = spec["work"], spec["temp"]
        self.workspace = f"{self.work}/workspace"
        self.scope = JobScope()
        self.output = Output(host.loop, f"{spec['log']}.log", lambda size: host.link.grew(spec["job"], size))
        for value in spec.get("secrets", {}).values():  # all of the run's: a job may be handed another one's in a file
            self.output.masker.add(value)
        self.forced = False
        self.added_paths: list[str] = []
        self.summary = Summary(spec["log"])
        self.posts: list[Step] = []  # for the job's end, the last first
        self.posts_begun = 0
        self.posts_of_pres: set[int] = set()  # the steps whose post was left by their pre
        self.states: dict[int, dict[str, str]] = {}  # what pre, main and post of a step leave each other
        self.spec = spec
        self.ahead = Ahead(host.loop, self.uid)
        self.tests: ReportedTests | None = None  # what its test reports said
        self.marks: list[kept.Mark] = []  # how it stood when each of its own steps began
        self.before: dict[int, dict[str, Any]] = {}  # the records of steps that an earlier attempt has done
        self._held: list[dict[str, Any]] = []
        self._ended: list[dict[str, Any]] = []  # the records of its steps' ends
        self._reason = ""
        self._orphaned = False
        self._broken = False
        self._step: Step | None = None
        self._ready = False
        self._outputs: dict[str, str] = {}
        self._result = ""

    def run(self) -> None:
        """Do the job. It ends with a `job.finished`, whatever happens in here."""
        self.hold({"kind": "job.started"})
        steps: list[StepPlan] = []
        try:
            if not self._ready:
                self._read()
                self._prepare()
            self._limit_time()
            steps = [*reversed(kept.go_on(self) if "resume" in self.spec else self._first_steps())]
            while (steps or self.posts) and not self._orphaned:
                self._do(Step(self, steps.pop(), self.frame) if steps else self.posts.pop())
            self._outputs = self._evaluate_outputs()
        except (BadValue, OSError) as error:
            self._fail(str(error))
        except Exception as error:
            self._break(error)
        self._end(lost=self._orphaned and bool(steps or self.posts))

    def _first_steps(self) -> tuple[StepPlan, ...]:
        """All its own, once what comes before them is done."""
        for step in self._pre_steps(self.frame):
            self._do(step)
        return self.plan.steps

    def get_ready(self) -> bool:
        """Make its folders and start its first shells while the job before it still runs; False: it needs to know of that one first.

        After this comes `run` or `discard`. Raises what `_prepare` raises.
        """
        self._read()
        if "resume" in self.spec or self.run_file.spec.get("actions"):
            return False
        if any("${{" in template.text for _, template in (*self.run_file.env, *self.plan.env)):
            return False
        self._prepare()
        self._ready = True
        self.ahead.start(self, 0)
        return True

    def discard(self) -> None:
        """It is not to be run after all: leave nothing of it."""
        self.ahead.close()
        self.output.close()
        self.host.folders.put_away_temp(self.temp)
        self.host.folders.put_away_work(self.work)

    @property
    def gave(self) -> dict[str, str] | None:
        """The outputs of a job that has ended well; None: it has not."""
        return self._outputs if self._result == SUCCESS else None

    @property
    def leaving(self) -> bool:
        """Whether it was told to end, or nobody is left to do it for."""
        return self._orphaned or self.scope.status == CANCELLED

    # -- from outside --------------------------------------------------------------------------------------------------

    def cancel(self, *, force: bool = False, reason: str = "") -> None:
        """Stop: the step that runs by the ladder unless its `if` keeps it, later ones unless theirs let them; `force`: all, at once."""
        if self.scope.status != CANCELLED:
            self._reason = reason
            self.scope.worsen(CANCELLED)
            self.host.loop.after("cleanup", self.host.limits.cleanup_s, self._force)
            if self._step:
                self._step.ask_to_stop()
        if force:
            self._force()

    def orphan(self) -> None:
        """Nobody is there any more to do this for: finish the step that runs, and no other."""
        self._orphaned = True

    def _force(self) -> None:
        self.forced = True
        if self._step:
            self._step.kill()

    # -- records -------------------------------------------------------------------------------------------------------

    def hold(self, record: dict[str, Any]) -> None:
        """Keep a record until the next that must be written: both go in one call."""
        self._held.append({**record, "job": self.uid, "epoch": self.epoch, "t": now_ms()})

    def write(self, record: dict[str, Any]) -> None:
        """Write a record, and what was held before it."""
        self.hold(record)
        self.tell()

    def tell(self) -> None:
        """Write what was held."""
        held, self._held = self._held, []
        self._ended += [one for one in held if one["kind"] == "step.finished"]
        self.host.spool.append(*held)
        self.host.link.told()

    # -- the work ------------------------------------------------------------------------------------------------------

    def _read(self) -> None:
        """Learn what there is to do. Raises OSError, and what a broken run file raises."""
        self.run_file = self.host.run_files.get(self.spec["run_file"])
        self.plan = self.run_file.job(self.spec["key"])
        self.frame = Frame(self.scope, self.plan.steps, shell=self.plan.shell, working_directory=self.plan.working_directory)

    def _prepare(self) -> None:
        """Folders, contexts, variables. Raises BadValue, OSError, ValueError."""
        host, spec, run = self.host, self.spec, self.run_file
        if "resume" in spec:
            kept.bring_back(self)
        host.folders.make(self.work, self.temp, again="resume" in spec)
        files = {name: f"{self.temp}/{name}" for name in ENV_FILES}
        github = {**run.github, **files, "job": self.plan.base, "workspace": self.workspace}
        github["token"] = spec.get("secrets", {}).get("GITHUB_TOKEN", "")
        runner = runner_context(host.name, self.work, self.temp)
        if run.debug:
            runner["debug"] = "1"
        self.scope.open(run, self.plan, spec, github, runner)
        self.base_env = {"CI": "true", **run.host_env, **job_layer(run.spec, self.work)}
        with_paths(self.base_env, own_programs(run.spec, self.work))
        self.scope.workspace, self.scope.home = self.workspace, self.base_env.get("HOME", "")
        self.env = self.scope.pairs(run.env, "env")
        self.env |= self.scope.pairs(self.plan.env, "env")
        self.fixed_env = {
            **run.github_env,
            "GITHUB_JOB": self.plan.base,
            "GITHUB_WORKSPACE": self.workspace,
            **{f"GITHUB_{name.upper()}": path for name, path in files.items()},
            **{f"RUNNER_{name.upper()}": value for name, value in runner.items()},
            VARIABLE: f"{host.mark}.{self.uid}.{self.epoch}",
        }
        if run.npmrc is not None:
            write_atomic(f"{self.temp}/npmrc", run.npmrc, durable=False)
            self.base_env["NPM_CONFIG_USERCONFIG"] = f"{self.temp}/npmrc"

    def _limit_time(self) -> None:
        """Raises BadValue."""
        template, host = self.plan.timeout_minutes, self.host
        minutes = self.scope.minutes(template) if template else host.limits.job_minutes
        if minutes > 0:
            host.loop.after("job", minutes * host.limits.minute_s, lambda: self._time_out(minutes))

    def _pre_steps(self, frame: Frame) -> list[Step]:
        if not self.run_file.spec.get("actions"):
            return []
        from sparki_daemon.runner.local_action import pre_steps  # noqa: PLC0415  # it loads YAML

        return pre_steps(self, frame)

    def _time_out(self, minutes: int) -> None:
        if self.scope.status != CANCELLED:
            self.output.line(f"Error: the job took longer than its {minutes} minute{'' if minutes == 1 else 's'}")
        self.cancel(reason="timed_out")

    def _do(self, step: Step) -> None:
        self._step = step
        if not step.is_post:
            self.marks.append(kept.mark(self))
        try:
            if self.forced:
                step.skip()
            else:
                step.run()
        except Exception as error:
            step.abandon(self._break(error))
        finally:
            self._step = None

    def _evaluate_outputs(self) -> dict[str, str]:
        """The job's outputs: an empty one is none, and one that holds a secret is dropped."""
        outputs = {}
        self.scope.set_env(self.env)
        for name, template in self.plan.outputs:
            value = self.scope.text(template, f"outputs.{name}")
            if self.output.masker.contains(value):
                self.output.line(f"Warning: output '{name}' is dropped: it holds a secret")
            elif value:
                outputs[name] = value
        return outputs

    # -- the end -------------------------------------------------------------------------------------------------------

    def _fail(self, why: str) -> None:
        self.scope.worsen(FAILURE)
        self._reason = self._reason or why
        self.output.line(f"Error: {why}")

    def _break(self, error: Exception) -> str:
        """A mistake of the runner's own: the job still ends, and says so. Gives what it says."""
        with contextlib.suppress(OSError, ValueError):  # nobody may listen any more
            import traceback  # noqa: PLC0415  # 4 ms, and this is a bug of ours

            sys.stderr.write(self.output.masker.mask_text("".join(traceback.format_exception(error))))
        self._broken = True
        why = f"runner_error: {type(error).__name__}: {error}"
        self._fail(why)
        return why

    def _end(self, *, lost: bool) -> None:
        """Leave nothing behind, keep the result if that is wanted, then tell the end."""
        try:
            self._leave()
        except Exception as error:
            self._break(error)
        self._result = LOST if lost else FAILURE if self._broken else self.scope.status
        if self._result == FAILURE and "kept" in self.spec and not self._broken and hasattr(self, "plan"):
            kept.keep(self, [*self._ended, *(record for record in self._held if record["kind"] == "step.finished")])
        self.write({
            "kind": "job.finished",
            "result": self._result,
            "reason": ORPHANED if lost else self.output.masker.mask_text(self._reason),
            "outputs": self._outputs,
            "log": self.output.size,
            "summary": self.summary.size,
            **({"tests": self.tests} if self.tests else {}),
            **self._keep(),
        })  # fmt: skip
        if len(self.host.waiting) < FEW_AHEAD:
            self.host.link.flush()
        self.output.close()
        self.host.folders.put_away_work(self.work)

    def _keep(self) -> dict[str, Any]:
        """Keep the result of a job that declares a cache, or check it, and say what came of it."""
        if checks := self._checks():
            from sparki_daemon.runner import checked  # noqa: PLC0415  # hardly any job needs it

            return {"kept": checked.check(self, checks)}
        if "keep" not in self.spec or self._result != SUCCESS:
            return {}
        from sparki_daemon.runner import keep  # noqa: PLC0415  # few jobs need it

        ended = [*self._ended, *(record for record in self._held if record["kind"] == "step.finished")]
        return {"kept": keep.keep(self, self.spec["keep"], ended, self._outputs)}

    def _checks(self) -> CacheSpec | None:
        """How the run checks the job's cache; None: it does not, or the job declares none."""
        spec = self.run_file.spec.get("job_cache") if hasattr(self, "plan") and self.plan.cache is not None else None
        return spec if spec and (spec.get("tracer") or spec.get("copy_to")) else None

    def _read_reports(self) -> None:
        from sparki_daemon.runner.junit import reported  # noqa: PLC0415  # few jobs need it

        self.tests = reported(self.workspace, self.plan.junit, self.output.masker)
        if self.tests is None:
            self.output.line(f"No test report fits {', '.join(self.plan.junit)}")
        for warning in self.tests["warnings"] if self.tests else ():
            self.output.line(f"Warning: test report {warning}")

    def _leave(self) -> None:
        """End what runs, keep what it said, remove the folder that may hold secrets."""
        host, output = self.host, self.output
        os.chdir("/")
        self.ahead.close()
        for timer in ("job", "step", "ladder", "reap", "cleanup"):
            host.loop.drop(timer)
        keep = host.next.ahead.pids if host.next else ()
        left = tracer.end_all(self, keep, term_s=0 if self.forced else host.limits.left_over_s)
        output.drain()
        if hasattr(self, "plan") and self.plan.junit and not self.forced:
            self._read_reports()
        if left:
            output.line(f"Ended what the steps had left running: {', '.join(left)}")
        while output.stalled and not self.forced:
            host.loop.turn()
        output.end()
        if host.lasting and (trouble := output.finish()):
            output.line(f"Warning: the log may not survive a power cut: {trouble}")
        if host.lasting and (trouble := self.summary.finish()):
            output.line(f"Warning: the summary may not survive a power cut: {trouble}")
        if self._held and self._held[-1]["kind"] == "step.finished":
            self._held[-1] |= {"left": left, "to": output.size}  # what came last is the last step's
        host.folders.put_away_temp(self.temp)

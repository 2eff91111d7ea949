"""The one table of differences: what each code says, which `sparki explain` prints and docs/differences.md lists."""

from __future__ import annotations

from collections.abc import Mapping

from sparki_daemon.model.dataclass import dataclass

OTHER_SYSTEM = "SPK001"
OTHER_HARDWARE = "SPK002"
OWN_LABEL = "SPK003"
MISSING_TOOL = "SPK004"
SUDO = "SPK005"
SYSTEM_PACKAGES = "SPK006"
DOCKER = "SPK007"
FIXED_PORT = "SPK008"
FIXED_TEMP = "SPK009"
EMPTY_TOKEN = "SPK010"  # noqa: S105  a code, no secret
EMPTY_SECRET = "SPK011"  # noqa: S105  a code, no secret
PERMISSIONS = "SPK012"
CONCURRENCY = "SPK013"
SCHEDULE = "SPK014"
IGNORED_INPUT = "SPK015"
ELSEWHERE = "SPK016"
NEVER_STARTED = "SPK017"
ABSENT_VERSION = "SPK018"
ABSENT_SHELL = "SPK019"
RUNNER_GROUP = "SPK020"
LOCAL_PRE = "SPK021"
UNKEPT_ENVIRONMENTS = "SPK022"


@dataclass(frozen=True, slots=True)
class Code:
    """`title` is a few words; `text` says what is different, why, and what can be done."""

    title: str
    text: str


CODES: Mapping[str, Code] = {
    OTHER_SYSTEM: Code(
        "another operating system",
        "The job asks by its `runs-on` for an operating system that this machine has not. It is skipped, with this as its reason; jobs "
        "that need it are skipped as after any skipped job. Run it on GitHub, or on a machine with that system.",
    ),
    OTHER_HARDWARE: Code(
        "other hardware",
        "A label of the job's `runs-on` names a processor or a device that this machine has not, such as `arm` or `gpu`. The job runs "
        "here all the same: what it builds is for this machine's processor.",
    ),
    OWN_LABEL: Code(
        "a label of own runners",
        "The job's `runs-on` has a label that no runner of GitHub's bears: somebody gave it to a machine of their own. The job runs here, "
        "where what that machine provides may be missing.",
    ),
    MISSING_TOOL: Code(
        "a tool is not installed",
        "A `run` calls a program that GitHub's runner has and this machine has not, by the PATH that the run was started with. The step "
        "will fail when it comes to it. Install the program, or set it up in the job.",
    ),
    SUDO: Code(
        "sudo",
        "A `run` calls `sudo`. On GitHub it asks for no password and changes a machine that is thrown away; here it would change yours, "
        "and without a terminal it can't ask. Steps run as your own user.",
    ),
    SYSTEM_PACKAGES: Code(
        "system packages",
        "A `run` installs packages for the whole machine (apt, brew, choco …). On GitHub the machine is thrown away; here the packages "
        "stay. Install them once yourself, and let the step ask whether they are there.",
    ),
    DOCKER: Code(
        "containers",
        "A `run` calls a container engine. It is yours, if there is one: images, containers and volumes stay after the job, and ports are "
        "shared with everything that runs here.",
    ),
    FIXED_PORT: Code(
        "a fixed port",
        "A `run` listens on a port with a fixed number. On GitHub each job has a machine of its own; here jobs share one, so that two legs "
        "of a matrix, or a program of yours, may want the same port. Let the system choose one (port 0).",
    ),
    FIXED_TEMP: Code(
        "a fixed path in /tmp",
        "A `run` names a path in /tmp. Jobs that run at the same time share that folder, and what is left there stays. Use `$RUNNER_TEMP`, "
        "which each job has for itself, or `mktemp`.",
    ),
    EMPTY_TOKEN: Code(
        "no GitHub token",
        "An expression reads `github.token` or `secrets.GITHUB_TOKEN`. Here it is empty unless you give one "
        "(`--secret GITHUB_TOKEN`): nobody has signed in to GitHub for the job. Calls of GitHub's API fail, or are made without a name.",
    ),
    EMPTY_SECRET: Code(
        "a secret without a value",
        "An expression reads a secret that has no value here: it is empty, as a secret that was never set is on "
        "GitHub. Give it with `sparki secret set NAME`, or for one run with `--secret NAME` or `--secret-file FILE`.",
    ),
    PERMISSIONS: Code(
        "permissions are not enforced",
        "`permissions` says what the job's token may do. There is no token here, so there is nothing to keep it from; an OpenID Connect "
        "token can't be asked for either.",
    ),
    CONCURRENCY: Code(
        "concurrency is not enforced",
        "`concurrency` keeps runs and jobs of one group apart on GitHub. Here they run as they are started, side by side, and none is "
        "cancelled for a newer one.",
    ),
    SCHEDULE: Code(
        "schedules are not obeyed",
        "`on.schedule` starts the pipeline at set times on GitHub. Here nothing does: start it with `sparki run PIPELINE`, or "
        "`--event schedule`.",
    ),
    IGNORED_INPUT: Code(
        "an input does nothing here",
        "A step gives a native action an input that has no meaning on this machine. The message says why.",
    ),
    ELSEWHERE: Code(
        "another repository or run",
        "A step asks a native action for something of another repository or another run. Nothing is fetched from GitHub: the step will "
        "fail unless the value turns out to be this one.",
    ),
    NEVER_STARTED: Code(
        "an event that does not happen here",
        "`on` names an event that is GitHub's alone, such as an issue that was opened. Nothing on this machine starts the pipeline for it; "
        "`--event NAME --event-file FILE` does.",
    ),
    ABSENT_VERSION: Code(
        "a version that is not on this machine",
        "A step sets up a version of Python or Node.js that is not here, and none is fetched. The step will fail when it comes to it. The "
        "message names those that are here. Install the version (pyenv, uv, nvm, fnm, volta, asdf and mise are looked through), or "
        "leave that leg of the matrix out: `--matrix KEY=VALUE`.",
    ),
    ABSENT_SHELL: Code(
        "a shell that is not installed",
        "A step's `shell` is not on this machine, by the PATH that the run was started with. The step will fail when it comes to it. "
        "Install the shell, or set it up in the job.",
    ),
    RUNNER_GROUP: Code(
        "a group of runners",
        "The job's `runs-on` asks for a runner of a group. There are no groups here: the job runs on this machine, where what the "
        "machines of that group provide may be missing.",
    ),
    LOCAL_PRE: Code(
        "a `pre` script that is not run",
        "The metadata of an action of this repository names a `pre` script. It is not run: GitHub does not run it either, and warns, "
        "since the action is known only when its step begins. It is run for those who use the action from another repository. "
        "Of the actions that `--action` gives, `pre` runs where a job's own step uses them; where another action uses them GitHub "
        "runs it too, and Sparki does not.",
    ),
    UNKEPT_ENVIRONMENTS: Code(
        "virtual environments are not kept",
        "`cache: poetry` and `cache: pipenv` of setup-python keep virtual environments on GitHub. Here each job has a Python of its own, "
        "which an environment of another job could not use: what was downloaded is kept instead, `cache-hit` is always false, and the "
        "installation runs again from the downloads.",
    ),
}

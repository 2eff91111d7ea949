"""The one table of commands and their options: the fast parser, Typer's commands and the tests are all made from it."""

from __future__ import annotations

from sparki_cli.declare import DIRECTORY, FLAG, MANY, NUMBER, TEXT, Argument, Command, Option
from sparki_cli.deploy_options import DEPLOY_COMMANDS, DEPLOY_GROUPS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SECRETS = (
    Option("secrets", ("--secret",), MANY, "A secret: its value is in the environment, else it is set here (repeatable).", metavar="NAME"),
    Option("secret_files", ("--secret-file",), MANY, "NAME=value lines of secrets (repeatable).", metavar="FILE"),
)
DETACH = Option("detach", ("--detach", "-d"), FLAG, "Come back at once; the run goes on.")
CI_FORMATS = ("github", "gitlab", "buildkite", "azure", "plain")
JOBS = Option("jobs", ("--job",), MANY, "Only this job, with what it needs (repeatable).", metavar="JOB")
MAX_PARALLEL = Option("max_parallel", ("--jobs",), NUMBER, "At most N jobs at once.", metavar="N")
ACTIONS = Option(
    "actions", ("--action",), MANY, "The folder that stands for a repository of others (repeatable).", metavar="OWNER/REPO=DIR"
)
GIVEN = (  # what a run is given, here and inside a CI service
    Option("ref", ("--ref",), TEXT, "A commit instead of the working tree.", metavar="REV"),
    Option("event", ("--event",), TEXT, "The event that starts it: push, pull_request, workflow_dispatch …", metavar="NAME"),
    Option("event_file", ("--event-file",), TEXT, "JSON to lay over the event's payload.", metavar="FILE"),
    Option("inputs", ("--input",), MANY, "An input of a workflow_dispatch (repeatable).", metavar="K=V"),
    Option("variables", ("--var",), MANY, "A value of the `vars` context (repeatable).", metavar="K=V"),
    Option("env", ("--env",), MANY, "A variable of the lowest layer of `env` (repeatable).", metavar="K=V"),
    Option("env_files", ("--env-file",), MANY, "NAME=value lines for the same (repeatable).", metavar="FILE"),
    *SECRETS,
    Option("matrix", ("--matrix",), MANY, "Only the legs with this value (repeatable).", metavar="K=V"),
    Option(
        "workspace",
        ("--workspace",),
        TEXT,
        "Start each job with the source in place, or empty: the latter is GitHub's way.",
        choices=("empty", "source"),
    ),
    ACTIONS,
)
PIPELINES = Argument("pipelines", "PIPELINE", "A file, its stem, or its name; none: those that a push would start.", many=True)
RUN = Argument("run", "RUN", "An id (r-…), a unique prefix of one, or `latest`.", required=True)
RUN_OR_DEPLOYMENT = Argument("run", "RUN", "A run: an id (r-…), a unique prefix, or `latest`; or a deployment (d-…).", required=True)

COMMANDS = (
    Command(
        "run",
        "sparki_cli.run:run",
        "Run pipelines of this repository, and follow them to their end.\n\n"
        "Ctrl-C cancels what was started, a second Ctrl-C ends it at once. A terminal or pipe that closes stops the watching only: "
        "the run goes on.",
        arguments=(PIPELINES,),
        options=(
            JOBS,
            MAX_PARALLEL,
            DETACH,
            Option("plan", ("--plan",), FLAG, "Print the plan, run nothing."),
            Option("show_list", ("--list",), FLAG, "List this repository's pipelines, run nothing."),
            *GIVEN,
            Option("no_cache", ("--no-cache",), FLAG, "Restore no job from the cache."),
            Option("explain", ("--explain",), FLAG, "Say of each job why it ran, or which earlier result stands for it."),
            Option("outputs", ("--outputs",), FLAG, "Put the declared outputs of jobs from the cache into the working tree."),
            Option(
                "debug_on_failure",
                ("--debug-on-failure",),
                FLAG,
                "Open a shell where a step has failed, with its environment; the job waits, and goes on after `exit`.",
            ),
            Option("check_inputs", ("--check-inputs",), FLAG, "Find files that jobs with a cache read and do not declare (needs strace)."),
            Option("check_reproducible", ("--check-reproducible",), FLAG, "Run twice, and show what differs in jobs with a cache."),
            Option("watch", ("--watch", "-w"), FLAG, "Again at each change of the tree; what is outdated is cancelled."),
            DIRECTORY,
        ),
    ),
    Command(
        "ci",
        "sparki_cli.ci:ci",
        "Run pipelines inside a CI service: in one process tree, with no daemon, and nothing left behind.\n\n"
        "The log has the groups and annotations of the service that it runs in. SIGINT or SIGTERM cancels, a second one ends it at once.",
        arguments=(PIPELINES,),
        options=(
            Option("form", ("--format",), TEXT, "Whose syntax the log has; by itself: what the environment tells.", choices=CI_FORMATS),
            Option("junit", ("--junit",), TEXT, "Write jobs and steps to FILE as JUnit XML.", metavar="FILE"),
            Option("summary", ("--summary",), TEXT, "Append a summary in Markdown to FILE.", metavar="FILE"),
            Option("artifacts", ("--artifacts",), TEXT, "Copy the runs' artifacts to DIR/NAME.", metavar="DIR"),
            Option("cache", ("--cache",), TEXT, "Keep caches in DIR; by itself they go with all else.", metavar="DIR"),
            JOBS,
            MAX_PARALLEL,
            *GIVEN,
            DIRECTORY,
        ),
    ),
    Command(
        "init",
        "sparki_cli.init:init",
        "Write a pipeline for what this repository holds, where it has none, and sparki.yml.",
        options=(Option("force", ("--force",), FLAG, "Write anew what is there already."), DIRECTORY),
    ),
    Command(
        "runs",
        "sparki_cli.runs:list_runs",
        "List runs of this repository, the newest first.",
        options=(
            Option("limit", ("--limit", "-n"), NUMBER, "At most N runs.", metavar="N", default=30),
            Option("everywhere", ("--all", "-a"), FLAG, "Runs of every repository."),
            Option("flaky", ("--flaky",), FLAG, "Jobs that passed and failed on the same source, in the last 200 runs."),
            Option("slow", ("--slow",), FLAG, "Jobs that were slower than each of their last 20 times."),
            Option("expensive", ("--expensive",), FLAG, "Jobs by the time that they took in all, in the last 200 runs."),
            DIRECTORY,
        ),
    ),
    Command(
        "show",
        "sparki_cli.runs:show",
        "Show a run with its jobs and steps, or a deployment with its steps.",
        arguments=(RUN_OR_DEPLOYMENT,),
        options=(DIRECTORY,),
    ),
    Command(
        "logs",
        "sparki_cli.logs:logs",
        "Print the log of a run, of one of its jobs, or of a deployment.",
        arguments=(RUN_OR_DEPLOYMENT, Argument("job", "JOB", "A job of the run.")),
        options=(
            Option("follow", ("--follow", "-f"), FLAG, "Go on until the run or deployment has ended."),
            Option("step", ("--step",), TEXT, "Only this step: its name, id, or number from 1.", metavar="STEP"),
            DIRECTORY,
        ),
    ),
    Command(
        "artifacts",
        "sparki_cli.artifacts:artifacts",
        "List what the jobs of a run have left, or copy it out.\n\n"
        "With NAME or --to the files are copied: those of one NAME into DIR itself, of several each into a folder of its name there.",
        arguments=(RUN, Argument("names", "NAME", "An artifact to copy; none: list them, or with --to copy all.", many=True)),
        options=(
            Option("to", ("--to",), TEXT, "Where to copy to; without it: the folder that you are in.", metavar="DIR"),
            Option("force", ("--force",), FLAG, "Write over files that are there."),
            DIRECTORY,
        ),
    ),
    Command(
        "cancel",
        "sparki_cli.runs:cancel",
        "Cancel a run or a deployment.\n\n"
        "A deployment is taken back as far as it has come: before the switch it leaves nothing, after it the old release serves again.",
        arguments=(RUN_OR_DEPLOYMENT,),
        options=(
            Option("force", ("--force",), FLAG, "A run: kill at once, with no grace and no always() steps."),
            Option(
                "keep",
                ("--keep",),
                FLAG,
                "A deployment that has switched: keep what is live, and watch it no longer. Before, it is cancelled.",
            ),
            DIRECTORY,
        ),
    ),
    Command(
        "retry",
        "sparki_cli.run:retry",
        "Run a run again, as a new attempt, and follow it.",
        arguments=(RUN,),
        options=(
            Option("failed", ("--failed",), FLAG, "Only the jobs that went red, and those after them."),
            Option("from_step", ("--from-step",), FLAG, "The same, but in their kept workspaces, from the first step that failed."),
            Option("step", ("--step",), TEXT, "With --from-step: from this step, an earlier one; its id, name or number.", metavar="STEP"),
            *SECRETS,
            DETACH,
            DIRECTORY,
        ),
    ),
    *DEPLOY_COMMANDS,
    Command(
        "validate",
        "sparki_cli.check:validate",
        "Check pipeline files and sparki.yml.",
        arguments=(Argument("files", "FILE", "Pipeline files or sparki.yml; none: all of this repository's.", many=True),),
        options=(
            Option("form", ("--format",), TEXT, "How to tell what is wrong.", choices=("text", "json", "github")),
            ACTIONS,
            Option(
                "schema",
                ("--schema",),
                FLAG,
                "Print the JSON Schema of a workflow, for editors; with FILE .sparki/pipelines or sparki.yml that of those.",
            ),
            DIRECTORY,
        ),
    ),
    Command(
        "explain",
        "sparki_cli.explain:explain",
        "Explain the code of a difference between this machine and GitHub's runner; without one, list them.",
        arguments=(Argument("code", "CODE", "SPK001 and the like."),),
    ),
    Command(
        "eval",
        "sparki_cli.evaluate:evaluate",
        "Evaluate one expression, given without the braces.",
        arguments=(Argument("expression", "EXPRESSION", "What would stand between ${{ and }}."),),
        options=(
            Option("context", ("--context",), TEXT, "A JSON object of contexts.", metavar="FILE"),
            Option("jsonl", ("--jsonl",), FLAG, "Read {expr, contexts} a line from standard input, answer a line each."),
        ),
    ),
    Command(
        "completion",
        "sparki_cli.completion:completion",
        "Print a script for a shell to complete words: bash, zsh or fish.",
        arguments=(Argument("shell", "SHELL", "bash, zsh or fish.", required=True),),
    ),
    Command(
        "cache ls",
        "sparki_cli.cache:list_entries",
        "List the results of this repository's jobs that are kept.",
        options=(DIRECTORY,),
    ),
    Command(
        "cache prune",
        "sparki_cli.cache:prune_entries",
        "Drop results of jobs, those first that were used longest ago.",
        options=(
            Option("everything", ("--all", "-a"), FLAG, "All of this repository's."),
            Option("max_size", ("--max-size",), TEXT, "Until they take no more than this, such as 512 MiB.", metavar="SIZE"),
            DIRECTORY,
        ),
    ),
    Command("doctor", "sparki_cli.doctor:doctor", "Look for what is wrong on this machine, and say what to do."),
    Command(
        "prune",
        "sparki_cli.prune:prune",
        "Drop runs, logs, artifacts and snapshots that are no longer kept (`retention` in sparki.yml, as the newest run read it).",
        options=(Option("dry_run", ("--dry-run",), FLAG, "Only say what would go."),),
    ),
    Command(
        "secret set",
        "sparki_cli.secret:set_secret",
        "Keep a secret of this repository; its value is read from standard input, or asked for.",
        arguments=(Argument("words", "NAME", "The name that pipelines have for it.", many=True),),
        options=(DIRECTORY,),
    ),
    Command("secret ls", "sparki_cli.secret:list_secrets", "List the names of this repository's secrets.", options=(DIRECTORY,)),
    Command(
        "secret rm",
        "sparki_cli.secret:remove_secret",
        "Remove a secret of this repository.",
        arguments=(Argument("name", "NAME", "Which one.", required=True),),
        options=(DIRECTORY,),
    ),
    Command("daemon start", "sparki_cli.daemon:start", "Start the daemon, unless it runs."),
    Command(
        "daemon stop",
        "sparki_cli.daemon:stop",
        "Stop the daemon.",
        options=(Option("force", ("--force",), FLAG, "Even while runs are active."),),
    ),
    Command("daemon restart", "sparki_cli.daemon:restart", "Start the daemon's programs anew; runs go on."),
    Command("daemon status", "sparki_cli.daemon:status", "Tell how the daemon is."),
    Command(
        "daemon logs",
        "sparki_cli.daemon:logs",
        "Print the daemon's own log.",
        options=(
            Option("follow", ("--follow", "-f"), FLAG, "Go on as it grows."),
            Option("count", ("--lines", "-n"), NUMBER, "The last N lines.", metavar="N", default=100),
        ),
    ),
    Command(
        "daemon install",
        "sparki_cli.daemon_install:install",
        "Make the daemon a service of your system: it starts with it, and brings back what was live.",
        options=(Option("print_only", ("--print",), FLAG, "Print the file that would be written, and write nothing."),),
    ),
    Command(
        "daemon uninstall", "sparki_cli.daemon_install:uninstall", "Start the daemon with the system no more; a daemon that runs goes on."
    ),
)
GROUPS = {
    **DEPLOY_GROUPS,
    "cache": "Results of jobs that declare a cache.",
    "secret": "Secrets of this repository, kept in the keyring or in an encrypted file.",
    "daemon": "The background process that holds and executes runs; it starts by itself when needed.",
}


def command_in(words: list[str]) -> tuple[Command, list[str]] | None:
    """The command that a command line begins with, and the words after its name."""
    for command in COMMANDS:
        count = command.name.count(" ") + 1
        if command.name.split(" ") == words[:count]:
            return command, words[count:]
    return None


def parse(command: Command, words: list[str]) -> dict[str, Any] | None:
    """The parameters of the command's function, or None for whatever is not written in the plainest way.

    Plain is `--option`, `--option value`, `--option=value`, `-o`, `-o value` and words. Errors, help, bundled letters, `--` and
    values that look like options are left to Typer, which does them well and takes 60 ms to load.
    """
    flags = {flag: option for option in command.options for flag in option.flags}
    values: dict[str, Any] = {option.name: list(option.default) if option.kind == MANY else option.default for option in command.options}
    places: list[str] = []
    rest = iter(words)
    for word in rest:
        if not word.startswith("-") or word == "-":
            places.append(word)
            continue
        flag, equals, value = word.partition("=") if word.startswith("--") else (word, "", "")
        option = flags.get(flag)
        if option is None or (option.kind == FLAG and equals):
            return None
        if option.kind == FLAG:
            values[option.name] = True
            continue
        if not equals:
            value = next(rest, "-")
            if value.startswith("-"):
                return None
        if not _store(values, option, value):
            return None
    return _place(command, places, values)


def _store(values: dict[str, Any], option: Option, value: str) -> bool:
    if option.choices and value not in option.choices:
        return False
    if option.kind == MANY:
        values[option.name].append(value)
    elif option.kind == NUMBER:
        if not (value.isascii() and value.isdigit() and int(value) > 0):
            return False
        values[option.name] = int(value)
    else:
        values[option.name] = value
    return True


def _place(command: Command, places: list[str], values: dict[str, Any]) -> dict[str, Any] | None:
    for argument in command.arguments:
        if argument.many:
            values[argument.name], places = places, []
        elif places:
            values[argument.name] = places.pop(0)
        elif argument.required:
            return None
        else:
            values[argument.name] = None
    return None if places else values

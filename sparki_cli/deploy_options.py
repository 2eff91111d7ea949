"""The commands of deployments and environments, for the one table in `options`."""

from __future__ import annotations

from sparki_cli.declare import DIRECTORY, FLAG, MANY, NUMBER, TEXT, Argument, Command, Option

ENVIRONMENT = Argument("environment", "ENV", "An environment of sparki.yml.", required=True)
DEPLOYMENT = Argument("deployment", "DEPLOYMENT", "An id (d-…), or a unique prefix of one.", required=True)
LIMIT = Option("limit", ("--limit", "-n"), NUMBER, "At most N.", metavar="N", default=30)
FOLLOWING = (
    Option("detach", ("--detach", "-d"), FLAG, "Come back at once; the deployment goes on."),
    Option("wait", ("--wait",), TEXT, "Stop watching after TIME, such as 10m: exit code 7, the deployment goes on.", metavar="TIME"),
    Option("override", ("--override",), TEXT, "Pass over a freeze; WHY is kept with the deployment.", metavar="WHY"),
    DIRECTORY,
)

DEPLOY_COMMANDS = (
    Command(
        "bind",
        "sparki_cli.bind:bind",
        "Give this repository a remote that runs what is pushed to it, and deploys it where `branches:` in sparki.yml says so.\n\n"
        "Then: git push sparki main. With -o sparki.skip nothing is run, with -o sparki.queue the push does not wait. "
        "Closing the push stops nothing.",
        options=(
            Option("name", ("--name",), TEXT, "What the remote is called; sparki where nothing is said.", metavar="NAME"),
            Option(
                "pre_push", ("--pre-push",), MANY, "Run what is pushed to this other remote first; refuse it when red.", metavar="REMOTE"
            ),
            DIRECTORY,
        ),
    ),
    Command("unbind", "sparki_cli.bind:unbind", "Take the remote and the hooks of `sparki bind` away again.", options=(DIRECTORY,)),
    Command(
        "deploy",
        "sparki_cli.deploy:deploy",
        "Deploy the commit at HEAD to an environment, and follow it until it is live or has ended otherwise.\n\n"
        "Uncommitted changes are told, and not shipped. Ctrl-C stops the watching only: the deployment goes on. "
        "Exit codes: 0 live; 1 failed, reverted or cancelled; 6 its end is unknown; 7 stopped watching.",
        arguments=(ENVIRONMENT,),
        options=(
            Option("ref", ("--ref",), TEXT, "A commit, branch or tag instead of HEAD.", metavar="REV"),
            Option("release", ("--release",), TEXT, "A release of this environment again: its id, or its number.", metavar="ID"),
            Option("plan", ("--plan",), FLAG, "Tell what would change and what it would wait for; touch nothing."),
            *FOLLOWING,
        ),
    ),
    Command(
        "rollback",
        "sparki_cli.deploy:rollback",
        "Deploy an old release's very artifact; without RELEASE that which was live before the present one.",
        arguments=(ENVIRONMENT, Argument("release", "RELEASE", "An id (v-…), a unique prefix, or a number.")),
        options=FOLLOWING,
    ),
    Command(
        "promote",
        "sparki_cli.deploy:promote",
        "Deploy to the environment TO what is live in FROM: the same artifact, with the settings of TO.",
        arguments=(
            Argument("source", "FROM", "Where it is live.", required=True),
            Argument("environment", "TO", "Where it is to go.", required=True),
        ),
        options=FOLLOWING,
    ),
    Command(
        "deployments",
        "sparki_cli.deployments:list_deployments",
        "List deployments of this repository, the newest first.",
        options=(
            Option("environment", ("--env", "-e"), TEXT, "Those to ENV.", metavar="ENV"),
            LIMIT,
            Option("everywhere", ("--all", "-a"), FLAG, "Deployments of every repository."),
            DIRECTORY,
        ),
    ),
    Command(
        "releases",
        "sparki_cli.deployments:list_releases",
        "List the releases of an environment, the newest first.",
        arguments=(ENVIRONMENT,),
        options=(LIMIT, DIRECTORY),
    ),
    Command("approve", "sparki_cli.deployments:approve", "Say yes to a deployment that waits for approval.", arguments=(DEPLOYMENT,)),
    Command(
        "resolve",
        "sparki_cli.deployments:resolve",
        "Say how a deployment ended whose end is unknown, after a look at the target.",
        arguments=(DEPLOYMENT,),
        options=(
            Option("live", ("--live",), FLAG, "The new release serves."),
            Option("failed", ("--failed",), FLAG, "The old release serves."),
            Option("retry", ("--retry",), FLAG, "Look again, and go on."),
        ),
    ),
    Command("env ls", "sparki_cli.env:list_environments", "List environments, and what is live in each.", options=(DIRECTORY,)),
    Command(
        "env show",
        "sparki_cli.env:show",
        "Show what is live, whether it is well now, and how it differs from what was released.",
        arguments=(ENVIRONMENT,),
        options=(DIRECTORY,),
    ),
    Command(
        "env logs",
        "sparki_cli.env:logs",
        "Print the service's own log.",
        arguments=(ENVIRONMENT,),
        options=(
            Option("follow", ("--follow", "-f"), FLAG, "Go on as it grows."),
            Option("release", ("--release",), TEXT, "Another release than the live one.", metavar="ID"),
            DIRECTORY,
        ),
    ),
    Command(
        "env exec",
        "sparki_cli.env:execute",
        "Run a command in the live release's folder and environment: sparki env exec ENV -- COMMAND.",
        arguments=(ENVIRONMENT, Argument("command", "COMMAND", "The command and its words.", many=True)),
        options=(DIRECTORY,),
    ),
    Command(
        "env maintenance",
        "sparki_cli.env:maintenance",
        "Answer everyone with a notice (on), or no longer (off).",
        arguments=(ENVIRONMENT, Argument("state", "STATE", "on or off.", required=True)),
        options=(DIRECTORY,),
    ),
    Command(
        "env down",
        "sparki_cli.env:down",
        "End the service and what serves it; releases stay.",
        arguments=(ENVIRONMENT,),
        options=(Option("yes", ("--yes", "-y"), FLAG, "Don't ask."), DIRECTORY),
    ),
)
DEPLOY_GROUPS = {"env": "Environments: what is live, whether it is well, and the service's own log."}

"""The tables of keys of `sparki.yml` that are about deployments: environments, push-to-deploy rules, notices.

Source: the public interface, "sparki.yml".
"""

from __future__ import annotations

from collections.abc import Mapping

from sparki_daemon.pipeline.schema import Flag, Key, ListOf, MapOf, Number, OneOf, Record, Text

STRATEGIES = ("recreate", "rolling", "bluegreen", "canary")
WORDS = ListOf(item=Text(nonempty=True))
TIME = Text(nonempty=True)

HEALTH = Record(
    keys={
        "http": Key(Text(nonempty=True), "The path that is asked, such as /healthz."),
        "status": Key(Number(), "The status that a healthy service answers with; 200 where it is left out."),
        "interval": Key(TIME, "How often it is asked, such as 500ms."),
        "timeout": Key(TIME, "How long one answer may take."),
        "successes": Key(Number(), "How many good answers in a row make it healthy."),
        "within": Key(TIME, "How long it may take until then, such as 30s."),
    }
)
FREEZE = Record(
    keys={
        "from": Key(Text(nonempty=True), "When it begins each week, such as Fri 16:00.", required=True),
        "to": Key(Text(nonempty=True), "When it ends each week, such as Mon 08:00.", required=True),
        "zone": Key(Text(nonempty=True), "The time zone whose clock counts, such as Europe/Berlin; UTC where it is left out."),
    }
)
HOOKS = Record(
    keys={
        "before": Key(Text(nonempty=True), "A command on this machine before the new release starts; if it fails, so does the deployment."),
        "after": Key(Text(nonempty=True), "A command on this machine once the deployment has ended; SPARKI_STATUS says how."),
    }
)
LIMITS = Record(
    keys={
        "memory": Key(Text(nonempty=True), "The most memory that the service may have, such as 512 MiB."),
        "open_files": Key(Number(), "The most files that each of its processes may have open."),
        "processes": Key(Number(), "The most processes that it may have."),
    }
)
ENVIRONMENT = Record(
    lenient=True,  # an adapter has keys of its own, which it checks itself
    keys={
        "adapter": Key(Text(nonempty=True), "Which platform it is on: process, ssh, container, fly, render, railway.", required=True),
        "artifact": Key(Text(nonempty=True), "What is deployed: source, or JOB/NAME, an artifact of the run."),
        "command": Key(Text(nonempty=True), "The service's command; it listens on $PORT."),
        "listen": Key(Text(nonempty=True), "Where the front listens, such as 127.0.0.1:8080."),
        "health": Key(HEALTH, "How the service says that it is well."),
        "strategy": Key(Text(choices=STRATEGIES), "How traffic goes from the old release to the new one."),
        "release_command": Key(Text(nonempty=True), "A command once a release, before it starts: migrations."),
        "watch": Key(TIME, "How long the new release is watched under traffic; a bad one reverts itself."),
        "grace": Key(TIME, "How long the old release may take to finish what it answers, and to end."),
        "variables": Key(MapOf(value=Text(), each="variable"), "The service's environment."),
        "secrets": Key(WORDS, "Names of secrets in the service's environment; values live in the keyring."),
        "keep_releases": Key(Number(), "How many releases are kept to go back to."),
        "after": Key(Text(nonempty=True), "An environment in which the same source must be live and healthy first."),
        "approvals": Key(
            Record(
                keys={
                    "count": Key(Number(), "How many people must approve.", required=True),
                    "not_author": Key(Flag(), "Whoever asked for the deployment does not count."),
                }
            ),
            "Who must say yes first.",
        ),
        "branches": Key(WORDS, "Patterns of branches and tags that may be deployed here."),
        "freeze": Key(ListOf(item=FREEZE, each="freeze"), "When nothing is deployed, every week."),
        "hooks": Key(HOOKS, "Commands before and after."),
        "limits": Key(LIMITS, "What the service may use, where the system can hold it to that."),
    },
)
OWN_KEYS: Mapping[str, frozenset[str]] = {"process": frozenset()}  # of Sparki's own adapters: the keys that each has beside these
ENVIRONMENTS = MapOf(value=ENVIRONMENT, each="environment")
BRANCHES = MapOf(
    value=Record(
        keys={
            "run": Key(OneOf(options=(Text(nonempty=True), WORDS)), "The pipelines that a push of such a branch runs."),
            "deploy": Key(Text(nonempty=True), "The environment that it goes to when they are green."),
        }
    ),
    each="branch rule",
)
NOTIFY = ListOf(
    each="notice",
    item=Record(
        keys={
            "on": Key(
                OneOf(options=(Text(nonempty=True), WORDS)),
                "success, failure, recovered, live, failed, reverted, unknown, waiting.",
                required=True,
            ),
            "command": Key(Text(nonempty=True), "A command; SPARKI_SUMMARY and more are in its environment."),
            "webhook": Key(Text(nonempty=True), "An address that gets the same as JSON by POST."),
        }
    ),
)
OCCASIONS = ("success", "failure", "recovered", "live", "failed", "reverted", "unknown", "waiting")
KEYS: Mapping[str, Key] = {
    "environments": Key(ENVIRONMENTS, "Where releases go, by name."),
    "branches": Key(BRANCHES, "What a push to `sparki bind`'s remote does, by pattern of branch or tag."),
    "notify": Key(NOTIFY, "Who is told of ends."),
}

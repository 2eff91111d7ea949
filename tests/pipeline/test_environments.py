"""What `sparki.yml` says of environments, pushes and notices: read with places, every mistake at once."""

from __future__ import annotations

import pytest

from sparki_daemon.model.problem import SparkiError
from sparki_daemon.pipeline.environments import BranchRule, Deploying, Notice
from sparki_daemon.pipeline.settings import read_settings

WHOLE = b"""\
environments:
  staging:
    adapter: process
    artifact: source
    command: python -m shop --port $PORT
    listen: 127.0.0.1:8080
    health: {http: /healthz, status: 200, interval: 500ms, successes: 2, within: 30s}
    strategy: bluegreen
    release_command: python -m shop migrate
    watch: 30s
    variables: {LOG_LEVEL: info, WORKERS: 2, DEBUG: false}
    secrets: [DATABASE_URL]
    keep_releases: 5
    limits: {memory: 512 MiB, open_files: 1024}
  production:
    adapter: fly
    app: shop
    regions: [fra, ams]
    after: staging
    approvals: {count: 1, not_author: true}
    branches: [main, "v*"]
    freeze: [{from: "Fri 16:00", to: "Mon 08:00", zone: Europe/Berlin}]
branches:
  main: {run: [ci], deploy: staging}
  "v*": {run: ci, deploy: production}
notify: [{on: [failure, recovered], command: "notify-send Sparki"}, {on: live, webhook: "http://localhost:1/x"}]
"""


def read(text: bytes) -> Deploying:
    return read_settings(text).deploying


def problems(text: str) -> list[str]:
    with pytest.raises(SparkiError) as caught:
        read(text.encode())
    return [f"{problem.at}: {problem.message}" + (f" ({problem.hint})" if problem.hint else "") for problem in caught.value.problems]


def environment(keys: str) -> str:
    return f"environments:\n  staging:\n    adapter: process\n    {keys}\n"


def test_the_example_of_the_public_interface_is_read_whole() -> None:
    found = read(WHOLE)

    assert found.environments["staging"].settings == {
        "adapter": "process",
        "artifact": "source",
        "command": "python -m shop --port $PORT",
        "listen": "127.0.0.1:8080",
        "health": {"http": "/healthz", "status": 200, "interval_s": 0.5, "successes": 2, "within_s": 30.0},
        "strategy": "bluegreen",
        "release_command": "python -m shop migrate",
        "watch_s": 30.0,
        "variables": {"LOG_LEVEL": "info", "WORKERS": "2", "DEBUG": "false"},
        "secrets": ["DATABASE_URL"],
        "keep_releases": 5,
        "limits": {"memory_bytes": 512 * 1024**2, "open_files": 1024},
    }
    production = found.environments["production"].settings
    assert (production["app"], production["regions"], production["after"]) == ("shop", ["fra", "ams"], "staging")
    assert production["approvals"] == {"count": 1, "not_author": True}
    assert production["freeze"] == [{"from": [4, 16, 0], "to": [0, 8, 0], "zone": "Europe/Berlin"}]
    assert [(rule.pattern, rule.run, rule.deploy) for rule in found.branches] == [
        ("main", ("ci",), "staging"),
        ("v*", ("ci",), "production"),
    ]
    assert found.notify == (
        Notice(("failure", "recovered"), command="notify-send Sparki"),
        Notice(("live",), webhook="http://localhost:1/x"),
    )
    assert str(found.environments["production"].at) == "sparki.yml:15:3"


def test_nothing_said_nothing_known() -> None:
    assert read(b"project: x\n") == Deploying()


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (
            "strategy: blugreen",
            "4:15: 'strategy' must be one of recreate, rolling, bluegreen, canary, not 'blugreen' (did you mean 'bluegreen'?)",
        ),
        ("health: {http: healthz}", "4:20: 'http' is a path, which begins with '/', not 'healthz'"),
        ("health: {status: 42}", "4:22: 'status' is a whole number from 100 to 599, not '42'"),
        ("health: {within: soon}", "4:22: 'within' must be a time, such as 500ms, 30s or 10m, not 'soon'"),
        ("health: {htp: /x}", "4:14: 'health' has no key 'htp' (did you mean 'http'?)"),
        ("watch: 30", "4:12: 'watch' must be a time, such as 500ms, 30s or 10m, not '30'"),
        ("listen: 127.0.0.1:99999", "4:13: 'listen' is HOST:PORT, such as 127.0.0.1:8080, not '127.0.0.1:99999'"),
        ("artifact: package", "4:15: 'artifact' is source, or JOB/NAME, not 'package'"),
        ("secrets: [DATABASE-URL]", "4:15: 'DATABASE-URL' is no name of a secret"),
        ("health: {interval: 0s}", "4:24: 'interval' must be longer than nothing"),
        ("secrets: [A, PORT]", "4:18: PORT is given by Sparki"),
        ("variables: {PORT: 80}", "4:17: PORT is given by Sparki"),
        ("keep_releases: 0", "4:20: 'keep_releases' is a whole number from 1 to 1000, not '0'"),
        ("after: prod", "4:12: environment 'staging' names the environment 'prod', and there is none of that name"),
        ("after: staging", "4:12: environment 'staging' comes after itself: staging → staging"),
        ("approvals: {count: 1.5}", "4:24: 'count' is a whole number from 0 to 100, not '1.5'"),
        ("approvals: {not_author: true}", "4:16: 'approvals' needs the key 'count'"),
        ("freeze: [{from: Fri 16:00, to: Mon 8:00}]", "4:36: 'to' is a day and a time, such as Fri 16:00, not 'Mon 8:00'"),
        ("freeze: [{from: Fri 16:00, to: Mon 08:00, zone: Europe/Berln}]", "4:53: there is no time zone 'Europe/Berln' (did you mean"),
        ("freeze: [{from: Fri 16:00, to: Fri 16:00}]", "4:14: a freeze that begins when it ends has no length"),
        ("limits: {memory: 512}", "4:22: 'memory' must be a size, such as 512 MiB, not '512'"),
    ],
)
def test_a_value_that_is_none_is_told_with_its_place(keys: str, message: str) -> None:
    found = problems(environment(keys))

    assert any(line.startswith(f"sparki.yml:{message}") for line in found), found


def test_every_mistake_is_told_at_once() -> None:
    text = environment("watch: soon") + "branches: {main: {deploy: prod}}\nnotify: [{on: sucess, command: x}, {on: live}]\n"

    assert [line.partition(": ")[2].partition(" (")[0] for line in problems(text)] == [
        "'watch' must be a time, such as 500ms, 30s or 10m, not 'soon'",
        "the rule for 'main' names the environment 'prod', and there is none of that name",
        "'on' can't be 'sucess'",
        "a notice needs a 'command' or a 'webhook'",
    ]


def test_a_notice_of_nothing_or_to_no_web_address_is_told_with_its_place() -> None:
    text = "notify:\n  - {on: [], command: x}\n"
    text += "".join(
        f"  - {{on: live, webhook: '{one}'}}\n" for one in ("chat.example", "ftp://x/y", "http://", "https://x:y/", "HTTPS://x/y")
    )

    assert [line.partition(",")[0] for line in problems(text)] == [
        "sparki.yml:2:10: 'on' names nothing to tell of: it is one or more of success",
        *(f"sparki.yml:{line}:25: 'webhook' is an http or https address" for line in (3, 4, 5, 6)),
    ]


def test_two_services_of_this_machine_at_one_address_are_told_at_the_second() -> None:
    text = """\
environments:
  a: {adapter: process, listen: 127.0.0.1:8080}
  b: {adapter: process, listen: 8080}
  c: {adapter: process, listen: 8081}
  d: {adapter: fly, listen: 8080}
  e: {adapter: process}
  f: {adapter: process}
"""

    (told,) = problems(text)
    assert told.startswith("sparki.yml:3:33: environment 'b' listens at 127.0.0.1:8080, and so does 'a' (sparki.yml:2:33)")


def test_environments_that_wait_for_each_other_are_refused() -> None:
    text = "environments:\n  a: {adapter: process, after: b}\n  b: {adapter: process, after: a}\n"

    assert problems(text) == [
        "sparki.yml:2:32: environment 'a' comes after itself: a → b → a",
        "sparki.yml:3:32: environment 'b' comes after itself: b → a → b",
    ]


def test_an_environment_needs_an_adapter_and_a_name_that_a_path_can_have() -> None:
    assert "adapter" in problems("environments: {staging: {command: x}}\n")[0]
    assert "is no name for an environment" in problems("environments: {../x: {adapter: process}}\n")[0]


def test_a_rule_knows_its_place() -> None:
    (rule,) = read(b"environments: {s: {adapter: process}}\nbranches: {main: {run: ci, deploy: s}}\n").branches

    assert isinstance(rule, BranchRule)
    assert str(rule.at) == "sparki.yml:2:12"


def test_what_sparki_does_not_know_is_the_adapters_with_its_place() -> None:
    found = read(b"environments:\n  a: {adapter: fly, app: shop}\n").environments["a"]

    assert found.settings["app"] == "shop"
    assert {key: str(at) for key, at in found.own.items()} == {"app": "sparki.yml:2:21"}


def test_a_value_knows_its_place_and_one_that_is_not_said_the_nearest_around_it() -> None:
    found = read(environment("health: {http: /x}").encode()).environments["staging"]

    assert str(found.where("health.http")) == "sparki.yml:4:20"
    assert str(found.where("health.within")) == str(found.where("health")) == "sparki.yml:4:13"
    assert found.where("command") == found.at


def test_a_file_with_wrong_shapes_has_its_wrong_values_told_too_and_none_twice() -> None:
    text = """\
environments:
  a: {adapter: process, watch: soon, approvals: yes, freeze: [x, {from: Fri 16:00}], health: {status: [1]}}
  b: {listen: nowhere, after: c}
branches: {main: x, next: {deploy: d}}
notify: [x, {command: y}, {on: sucess, command: x}]
retention: {runs: long}
"""
    told = [line.partition(" ")[0] for line in problems(text)]

    assert told == [
        f"sparki.yml:{place}:"
        for place in ("2:32", "2:49", "2:63", "2:66", "2:103", "3:6", "3:15", "3:31", "4:18", "4:36", "5:10", "5:13", "5:32", "6:19")
    ]

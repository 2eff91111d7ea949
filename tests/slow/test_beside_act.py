"""Runs the same workflows with Sparki and with act, and holds each difference to the table that says who is right by GitHub's sources."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

BIN = Path(sys.executable).parent
FIXTURES = Path(__file__).parent / "beside_act"
NAMES = sorted(path.stem for path in FIXTURES.glob("*.yml"))
TABLE = json.loads((FIXTURES / "differences.json").read_text())
DIFFERENCES: dict[str, dict[str, dict[str, Any]]] = TABLE["differences"]
GIT = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
PATIENCE_S = 120

Facts = dict[str, str]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(PATIENCE_S * 2)]


@dataclass(frozen=True)
class Desk:
    """One repository with every workflow of `beside_act`, and the two programs, each with a home of its own."""

    folder: Path

    @property
    def repository(self) -> Path:
        return self.folder / "repository"

    def prepare(self) -> None:
        shutil.copytree(FIXTURES / "tree", self.repository)
        for name in NAMES:
            shutil.copy(FIXTURES / f"{name}.yml", self.repository / ".github/workflows")
        remote = "https://github.com/octo/demo.git"  # only its name is read
        for words in (["init", "-q", "-b", "main"], ["remote", "add", "origin", remote], ["add", "-A"], ["commit", "-q", "-m", "work"]):
            subprocess.run([*GIT, *words], cwd=self.repository, env=self.environment("git"), check=True)
        act_home = self.folder / "act"
        act_home.mkdir()
        (act_home / ".actrc").write_text("-P ubuntu-latest=-self-hosted\n")  # the steps on this machine, and no question asked

    def environment(self, home: str) -> dict[str, str]:
        """Little, so that nothing of the one who tests is taken for the program's doing."""
        place = str(self.folder / home)
        env = {"PATH": f"{BIN}:{os.environ['PATH']}", "LANG": "C.UTF-8", "NO_COLOR": "1", "GIT_CONFIG_GLOBAL": os.devnull}
        return env | {"HOME": place, "XDG_CONFIG_HOME": place, "XDG_CACHE_HOME": f"{place}/cache", "SPARKI_HOME": f"{place}/state"}

    def call(self, program: str, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [BIN / program, *words],
            cwd=self.repository,
            env=self.environment(program),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )

    def sparki(self, name: str) -> Facts:
        ran = self.call("sparki", "run", name, "--event", event_of(name), "--json")
        if ran.returncode == 2:
            return {"result": "refused"}
        assert ran.returncode in {0, 1}, ran.stderr
        run = json.loads(ran.stdout.splitlines()[-1])["data"]["run"]
        logs = self.call("sparki", "logs", run, "--json")
        return facts_of(json.loads(line)["text"] for line in logs.stdout.splitlines()) | result_of(ran)

    def act(self, name: str) -> Facts:
        ran = self.call("act", event_of(name), "-W", f".github/workflows/{name}.yml")
        if "workflow is not valid" in ran.stderr:
            return {"result": "refused"}
        return facts_of(line.partition("  | ")[2] for line in ran.stdout.splitlines()) | result_of(ran)  # `[workflow/job]   | text`

    def stop(self) -> None:
        """End the daemon, by its pid where it does not go when asked."""
        status = self.call("sparki", "daemon", "status", "--json")
        self.call("sparki", "daemon", "stop", "--force")
        pid = json.loads(status.stdout)["processes"]["supervisor"]["pid"]
        if Path(f"/proc/{pid}/cmdline").exists() and b"sparki_daemon" in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGKILL)


def event_of(name: str) -> str:
    """The event that a fixture is for: the first that its text has."""
    text = (FIXTURES / f"{name}.yml").read_text()
    return min(("push", "pull_request", "workflow_dispatch"), key=lambda event: text.find(event) % (len(text) + 1))


def facts_of(lines: Iterable[str]) -> Facts:
    """Name → value of each `FACT name=value`; what several legs say is one value, in order of the alphabet."""
    found: dict[str, list[str]] = defaultdict(list)
    for line in lines:
        if line.strip().startswith("FACT "):
            name, _, value = line.strip().removeprefix("FACT ").partition("=")
            found[name].append(value)
    return {name: " / ".join(sorted(values)) for name, values in found.items()}


def result_of(ran: subprocess.CompletedProcess[str]) -> Facts:
    return {"result": "failure" if ran.returncode else "success"}


def apart(sparki: Facts, act: Facts) -> dict[str, dict[str, str | None]]:
    """Each fact that the two tell differently; None: one does not tell it at all."""
    names = dict.fromkeys([*sparki, *act])
    return {name: {"sparki": sparki.get(name), "act": act.get(name)} for name in names if sparki.get(name) != act.get(name)}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    if not (BIN / "act").exists():
        pytest.skip("act is not installed: pip install -c constraints.txt -e '.[dev,bench]', as `make test-slow` does")
    made = Desk(tmp_path_factory.mktemp("beside"))
    made.prepare()
    yield made
    made.stop()


@pytest.mark.parametrize("name", NAMES)
def test_every_difference_from_act_is_one_that_the_table_knows(desk: Desk, name: str) -> None:
    text = (FIXTURES / f"{name}.yml").read_text()
    if ("./actions/javascript" in text or "./actions/posting" in text) and not shutil.which("node"):
        pytest.skip("node is not installed here")

    with ThreadPoolExecutor() as both:
        sparki, act = (ran.result() for ran in (both.submit(desk.sparki, name), both.submit(desk.act, name)))

    assert len(sparki) > 1 or sparki["result"] == "refused", "the workflow told nothing"
    known = {fact: {"sparki": entry["sparki"], "act": entry["act"]} for fact, entry in DIFFERENCES.get(name, {}).items()}
    assert apart(sparki, act) == known  # more on the left: new, and somebody must look who is right; more on the right: it is gone


def test_the_table_speaks_of_fixtures_that_exist() -> None:
    assert len(NAMES) >= 30
    assert set(DIFFERENCES) <= set(NAMES)


@pytest.mark.parametrize("name", sorted(DIFFERENCES))
def test_each_difference_has_a_source_and_sparki_is_wrong_only_where_it_refuses(name: str) -> None:
    refused = DIFFERENCES[name].get("result", {}).get("sparki") == "refused"
    for fact, entry in DIFFERENCES[name].items():
        assert entry["sparki"] != entry["act"], fact
        assert entry["right"] == ("act" if refused else "sparki"), fact
        assert entry["source"] in TABLE["sources"], fact


def test_each_source_is_cited() -> None:
    cited = {entry["source"] for entries in DIFFERENCES.values() for entry in entries.values()}

    assert cited == set(TABLE["sources"])

"""Secrets through the real daemon: they reach the steps that name them, and lie nowhere else, in no form. (FAULTS, I7.)"""

from __future__ import annotations

import base64
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from sparki_daemon.system.nonce import memory_folder

SPARKI = str(Path(sys.executable).with_name("sparki"))
EVERYWHERE = """\
on: push
run-name: a run
env:
  ROOT: ${{ secrets.ONE }}
jobs:
  first:
    runs-on: ubuntu-latest
    env: {JOB: "${{ secrets.TWO }}"}
    outputs:
      leak: ${{ steps.out.outputs.leak }}
      list: ${{ steps.out.outputs.list }}
      sum: ${{ steps.out.outputs.sum }}
    steps:
      - uses: actions/checkout@v4
      - name: wait
        run: |
          test "$ROOT" = "$(cat "$SIDE/one")" && test "$JOB" = "$(cat "$SIDE/two")" && test "${{ secrets.three }}" = "$(cat "$SIDE/three")"
          touch "$SIDE/running"
          while [ -e "$SIDE/hold" ]; do sleep 0.05; done
      - id: out
        name: name of ${{ secrets.ONE }}
        env: {OWN: "${{ secrets.THREE }}"}
        run: |
          printf %s "$ROOT" | head -c 9; sleep 0.05; printf '%s\\n' "${ROOT:9}"
          set -x
          echo "$ROOT $JOB $OWN $(printf %s "$ROOT" | base64 -w0) $(printf %s "$OWN" | base64 -w0)"
          echo "leak=$ROOT" >> "$GITHUB_OUTPUT"
          echo "list=[\\"$JOB\\"]" >> "$GITHUB_OUTPUT"
          echo "sum=$(printf %s "$ROOT" | sha256sum | head -c 12)" >> "$GITHUB_OUTPUT"
          echo "LATER=$OWN" >> "$GITHUB_ENV"
          echo "/nowhere/$OWN" >> "$GITHUB_PATH"
          echo "# $ROOT" >> "$GITHUB_STEP_SUMMARY"
          echo "::warning file=$OWN,title=$JOB::message $ROOT"
          echo "::error::$OWN"
          echo "::debug::$OWN"
          echo "::group::$ROOT"
          echo "::set-output name=old::$OWN"
      - run: echo "$LATER ${{ steps.out.outputs.old }}" && echo "in a file $LATER" > kept.txt
      - {uses: ./act, continue-on-error: true, with: {word: "${{ secrets.ONE }}"}}
      - {uses: actions/upload-artifact@v4, continue-on-error: true, with: {name: "a-${{ secrets.ONE }}", path: act}}
      - {uses: actions/cache@v4, continue-on-error: true, with: {key: "k-${{ secrets.TWO }}", path: act}}
      - {run: "true", continue-on-error: true, working-directory: "no-${{ secrets.ONE }}"}
      - {run: "true", continue-on-error: true, timeout-minutes: "${{ secrets.TWO }}"}
      - {run: "true", continue-on-error: true, env: {BAD: "${{ fromJSON(secrets.THREE) }}"}}
      - if: always()
        run: echo '${{ toJSON(secrets) }}'; echo "::add-matcher::no-$ROOT"
      - if: always()
        run: exit 3
  legs:
    needs: first
    if: always()
    strategy: {matrix: {leg: "${{ fromJSON(needs.first.outputs.list || '[1]') }}"}}
    name: leg ${{ matrix.leg }} ${{ needs.first.outputs.leak }}
    runs-on: ubuntu-latest
    steps: [{run: 'echo "got [${{ needs.first.outputs.leak }}]"; cat "$SIDE/one"; echo'}]
"""
ACTION = """\
name: act
inputs: {word: {}}
runs:
  using: composite
  steps:
    - {run: 'echo "composite ${{ inputs.word }}"; exit 4', shell: bash, name: "inner ${{ inputs.word }}"}
"""


class Bench:
    def __init__(self, folder: Path) -> None:
        self.repo, self.home, self.side = folder / "repo", folder / "home", folder / "side"
        (self.repo / ".github/workflows").mkdir(parents=True)
        self.side.mkdir()
        self.env = {name: value for name, value in os.environ.items() if not name.startswith(("SPARKI_", "GIT_"))}
        self.env |= {"SPARKI_HOME": str(self.home), "NO_COLOR": "1", "SPARKI_KEYRING": "off"}
        self.started: list[subprocess.Popen[str]] = []
        self.git("init", "-q", "-b", "main")

    def git(self, *words: str) -> None:
        who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        subprocess.run(["git", *who, *words], cwd=self.repo, check=True, env=self.env, capture_output=True)

    def commit(self, workflow: str) -> None:
        (self.repo / ".github/workflows/ci.yml").write_text(workflow.replace("$SIDE", str(self.side)))
        self.git("add", "-A")
        self.git("commit", "-qm", "work")

    def start(self, *words: str, **env: str) -> subprocess.Popen[str]:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = subprocess.Popen([SPARKI, *words], cwd=self.repo, env=self.env | env, text=True, **pipes)
        self.started.append(process)
        return process

    def sparki(self, *words: str, given: str = "", code: int = 0, **env: str) -> tuple[str, str]:
        process = self.start(*words, **env)
        out, err = process.communicate(given, timeout=50)
        assert process.returncode == code, (words, process.returncode, out, err)
        return out, err

    def pids(self) -> list[int]:
        told = json.loads(self.sparki("daemon", "status", "--json")[0])["processes"]
        return [told["supervisor"]["pid"], told["engine"]["pid"], *(runner["pid"] for runner in told["runners"])]


@pytest.fixture
def bench(tmp_path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    for process in made.started:
        if process.poll() is None:  # the test has failed in the middle of it
            process.kill()
            print(process.communicate())
    subprocess.run([SPARKI, "daemon", "stop", "--force"], env=made.env, check=False, capture_output=True)


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def forms(value: str) -> list[bytes]:
    """What a leak would look like: the value itself, base64 of it at each offset, in a URL, in JSON."""
    data = value.encode()
    shifted = [base64.b64encode(b"x" * shift + data)[4:-4] for shift in range(3)]
    return [data, *shifted, quote(value).encode(), json.dumps(value)[1:-1].encode()]


def leaks(values: list[str], texts: dict[str, bytes]) -> list[str]:
    wanted = {form for value in values for form in forms(value)}
    return [f"{name}: {form!r}" for name, text in texts.items() for form in wanted if form in text]


def files_under(*folders: Path) -> dict[str, bytes]:
    found = {}
    for folder in folders:
        for path in folder.rglob("*"):
            found[f"name of {path}"] = os.fsencode(str(path.relative_to(folder)))
            if path.is_file() and not path.is_symlink():
                try:
                    found[str(path)] = path.read_bytes()
                except FileNotFoundError:  # gone meanwhile
                    continue
    return found


def of_processes(pids: list[int]) -> dict[str, bytes]:
    return {f"{pid} {what}": Path(f"/proc/{pid}/{what}").read_bytes() for pid in pids for what in ("cmdline", "environ")}


def test_a_canary_is_found_nowhere_but_in_the_step_and_in_the_jobs_own_folder(bench: Bench) -> None:
    one, two, three = (f"canary-{secrets.token_hex(12)}" for _ in range(3))
    three += " & <x> 'y' %"
    (bench.side / "one").write_text(one)
    (bench.side / "two").write_text(two)
    (bench.side / "three").write_text(three)
    (bench.side / "hold").touch()
    (bench.repo / "act").mkdir()
    (bench.repo / "act/action.yml").write_text(ACTION)
    bench.commit(EVERYWHERE)
    (bench.side / "file").write_text(f"TWO={two}\n")
    memory = Path(memory_folder(str(bench.home)))
    values = [one, two, three]
    bench.sparki("secret", "set", "THREE", given=f"{three}\n")

    # The daemon is started by a client that has the secret in its environment, and another one that it was not told of
    words = ("run", "--json", "--secret", "ONE", "--secret-file", str(bench.side / "file"), "--var", "ACTIONS_STEP_DEBUG=true")
    run = bench.start(*words, ONE=one, PIP_INDEX_URL=f"https://host/{one}", OTHER_PASSWORD=two)
    until((bench.side / "running").exists)
    pids = bench.pids()
    assert len(pids) >= 3
    assert leaks(values, of_processes(pids)) == []
    in_jobs = [path for path in memory.glob("j-*") if path.is_dir()]
    assert in_jobs
    assert {path.stat().st_mode & 0o777 for path in (*in_jobs, memory)} == {0o700}
    others = {name: text for name, text in files_under(bench.home, memory).items() if not any(str(path) in name for path in in_jobs)}
    assert leaks(values, others) == []
    (bench.side / "hold").unlink()
    out, err = run.communicate(timeout=50)

    assert run.returncode == 1, (out, err)
    shown = "".join(bench.sparki("show", "latest", *form)[0] for form in ([], ["--json"]))
    shown += "".join(bench.sparki("logs", "latest", *form)[0] for form in ([], ["--json"]))
    spoken = {"out": out.encode(), "err": err.encode(), "shown": shown.encode(), "runs": bench.sparki("runs", "--json")[0].encode()}
    assert leaks(values, spoken) == []
    assert leaks(values, of_processes(bench.pids())) == []
    until(lambda: not list((bench.home / "work").glob("r-*")) and not list(memory.glob("j-*")))
    assert leaks(values, files_under(bench.home, memory)) == []
    assert list((bench.home / "secrets/runs").iterdir()) == []
    bench.sparki("daemon", "stop")
    assert leaks(values, files_under(bench.home)) == []
    assert "***" in shown
    assert "got []" in shown
    assert "'name' of 'actions/upload-artifact@v4' holds a secret" in shown
    assert "'key' of 'actions/cache@v4' holds a secret" in shown


CHAIN = """\
on: push
jobs:
  a:
    runs-on: ubuntu-latest
    steps: [{run: 'touch "$SIDE/running"; while [ -e "$SIDE/hold" ]; do sleep 0.05; done'}]
  b:
    needs: a
    runs-on: ubuntu-latest
    steps: [{run: 'test "${{ secrets.ONE }}" = "$(cat "$SIDE/one")"'}]
"""


def test_a_queued_job_has_its_secrets_after_the_engine_was_killed_and_a_retry_asks_for_them(bench: Bench) -> None:
    (bench.side / "one").write_text("canary-chain")
    (bench.side / "hold").touch()
    bench.commit(CHAIN)
    run = bench.start("run", "--secret", "ONE", ONE="canary-chain")
    until((bench.side / "running").exists)
    before = bench.pids()[1]
    os.kill(before, signal.SIGKILL)
    until(lambda: bench.pids()[1] != before)
    (bench.side / "hold").unlink()
    out, err = run.communicate(timeout=50)

    assert run.returncode == 0, (out, err)
    until(lambda: not list((bench.home / "secrets/runs").iterdir()))
    _, refused = bench.sparki("retry", "latest", code=2)
    assert "ONE" in refused
    assert "--secret ONE" in refused
    assert len(json.loads(bench.sparki("runs", "--json")[0])["runs"]) == 1
    bench.sparki("retry", "latest", "--secret", "ONE", ONE="canary-chain")
    bench.sparki("secret", "set", "ONE", given="canary-chain")
    bench.sparki("retry", "latest")


def test_a_value_on_the_command_line_is_refused_and_not_repeated(bench: Bench) -> None:
    for words in (
        ("run", "--secret", "A=hunter2"),
        ("run", "--secret=A=hunter2"),
        ("secret", "set", "A", "hunter2"),
        ("secret", "rm", "A=hunter2"),
    ):
        out, err = bench.sparki(*words, code=2)
        assert "hunter2" not in out + err
        assert "command line" in err


def test_secrets_are_listed_by_name_and_removed(bench: Bench) -> None:
    bench.sparki("secret", "set", "b_one", given="x1\n")
    bench.sparki("secret", "set", "A", given="two\nlines\n")

    assert json.loads(bench.sparki("secret", "ls", "--json")[0]) == {
        "secrets": [{"name": "A", "store": "vault"}, {"name": "B_ONE", "store": "vault"}]
    }
    bench.sparki("secret", "rm", "A")
    assert "B_ONE" in bench.sparki("secret", "ls")[0]
    assert "no secret 'A'" in bench.sparki("secret", "rm", "A", code=5)[1]
    assert "empty" in bench.sparki("secret", "set", "C", given="\n", code=2)[1]


def test_what_has_no_value_is_told_with_the_command_that_sets_it(bench: Bench) -> None:
    bench.commit("on: push\njobs: {a: {runs-on: ubuntu-latest, steps: [{run: 'echo ${{ secrets.ONE }}${{ secrets.IN_FILE }}'}]}}\n")
    (bench.repo / ".env").write_text("IN_FILE=x\n")

    assert "'secrets.ONE' is not set: sparki secret set ONE" in bench.sparki("run", "--plan")[1]
    assert "IN_FILE" not in bench.sparki("run", "--plan")[1]
    assert "SPK011" not in bench.sparki("run", "--plan", "--secret", "ONE", ONE="v")[1]
    assert "sparki secret set ZZ" in bench.sparki("run", "--secret", "ZZ", code=2)[1]


def test_at_a_terminal_the_value_is_asked_for_and_not_shown(bench: Bench) -> None:
    ours, theirs = os.openpty()
    words = [SPARKI, "secret", "set", "TYPED"]
    process = subprocess.Popen(words, cwd=bench.repo, env=bench.env, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    seen = b""
    while b"not shown" not in seen:
        seen += os.read(ours, 1000)
    os.write(ours, b"canary-typed\n")
    assert process.wait(timeout=30) == 0
    os.close(theirs)
    while True:
        try:
            seen += os.read(ours, 1000)
        except OSError:  # nobody holds the other end any more
            break
    os.close(ours)

    assert b"canary" not in seen
    assert b"TYPED is kept in the vault" in seen
    assert list(json.loads(bench.sparki("secret", "ls", "--json")[0])["secrets"][0].values()) == ["TYPED", "vault"]

"""The engine as its callers see it: each route a method, each refusal a SparkiError, a dropped connection tried again."""

# ruff: noqa: PLC0415  # what only errors and rare turns need is imported there: a short command pays for every import

from __future__ import annotations

import json
import os
import time

from sparki_daemon.client import http, launch
from sparki_daemon.client.http import Exchange, quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from collections.abc import Callable, Iterator
    from typing import Any, TypeVar

    Answer = TypeVar("Answer")

    from sparki_daemon.client.paths import Paths
    from sparki_daemon.model.problem import SparkiError

RETRY_LIMIT_S = 10.0
FRUITLESS_LIMIT = 40  # streams in a row that ended early and told nothing new: about 8 s
PAUSE_LIMIT_S = 0.25
PRUNE_LIMIT_S = 600.0
START_RUN_LIMIT_S = 120.0  # a snapshot of a very large tree on a cold disk takes its time


class Engine:
    """A client of one state folder's engine. `on_found` is called once, with daemon.json, when a daemon was reached."""

    def __init__(self, paths: Paths, *, may_start: bool = True, on_found: Callable[[Engine, dict[str, Any]], None] | None = None) -> None:
        self.paths = paths
        self.told: dict[str, Any] = {}  # the daemon.json of the last connection
        self._may_start = may_start
        self._on_found = on_found

    # -- runs ------------------------------------------------------------------------------------------------------------

    def start_runs(self, request: dict[str, Any]) -> dict[str, Any]:
        """`POST /v1/runs`: {"runs": [{"run", "pipeline", "file", "jobs"}], "since"}. Sent again with the same key, it starts nothing twice.

        `jobs`: {"id", "uid", "name"} of each, as the plan has them before anything has begun.
        """
        return self.ask("POST", "/v1/runs", request, answer_limit_s=START_RUN_LIMIT_S)  # type: ignore[no-any-return]

    def list_runs(self, directory: str | None, limit: int) -> list[dict[str, Any]]:
        """The newest `limit` runs, of the repository at `directory` or of all."""
        where = f"&directory={quoted(directory)}" if directory else ""
        return self.ask("GET", f"/v1/runs?limit={limit}{where}")["runs"]  # type: ignore[no-any-return]

    def job_history(self, aspect: str, directory: str | None, limit: int) -> list[dict[str, Any]]:
        """Up to `limit` jobs that are `flaky`, `slow` or `expensive`, of the repository at `directory` or of all."""
        where = f"&directory={quoted(directory)}" if directory else ""
        return self.ask("GET", f"/v1/history?aspect={aspect}&limit={limit}{where}")["jobs"]  # type: ignore[no-any-return]

    def run_history(self, run: str) -> dict[str, Any]:
        """What past runs of its pipeline say of the run (by its id)."""
        return self.ask("GET", f"/v1/runs/{quoted_segment(run)}/history")  # type: ignore[no-any-return]

    def show_run(self, run: str, directory: str | None) -> dict[str, Any]:
        """A run with its jobs and steps; `run` is an id, a unique prefix of one, or `latest` of `directory`."""
        where = f"?directory={quoted(directory)}" if directory else ""
        return self.ask("GET", f"/v1/runs/{quoted_segment(run)}{where}")  # type: ignore[no-any-return]

    def cancel_run(self, run: str, *, force: bool, limit_s: float = RETRY_LIMIT_S) -> dict[str, Any]:
        """Ask for the end of a run. SparkiError `run_finished` when it has ended."""
        target = f"/v1/runs/{quoted_segment(run)}/cancel"
        return self.ask("POST", target, {"force": force}, limit_s=limit_s, answer_limit_s=limit_s)  # type: ignore[no-any-return]

    def retry_run(self, run: str, *, failed: bool, from_step: str | None = None, given: dict[str, Any] | None = None) -> dict[str, Any]:
        """A new attempt at a run: {"run", "attempt", "since", "file_changed"}. SparkiError `run_active` while it runs. `given`: secrets."""
        step = {} if from_step is None else {"from_step": from_step}
        return self.ask("POST", f"/v1/runs/{quoted_segment(run)}/retry", {"failed": failed, **step, **(given or {})})  # type: ignore[no-any-return]

    def excerpts(self, run: str) -> list[dict[str, Any]]:
        """Why a run went red: at most 20 lines of each failed step."""
        return self.ask("GET", f"/v1/runs/{quoted_segment(run)}/excerpts")["excerpts"]  # type: ignore[no-any-return]

    def artifacts(self, run: str, directory: str | None) -> dict[str, Any]:
        """The run's artifacts with their files: {"run", "artifacts"}."""
        where = f"?directory={quoted(directory)}" if directory else ""
        return self.ask("GET", f"/v1/runs/{quoted_segment(run)}/artifacts{where}")  # type: ignore[no-any-return]

    def artifact_bytes(self, run: str, name: str, file: int) -> Iterator[bytes]:
        """The bytes of one file of an artifact, by its place in the listing. Raises OSError where the daemon goes meanwhile."""
        exchange = self.open(f"/v1/runs/{quoted_segment(run)}/artifact?name={quoted_segment(name)}&file={file}")
        try:
            while not exchange.ended:
                if data := exchange.receive():
                    yield data
        finally:
            exchange.close()

    def lines(self, run: str, job: str | None, *, follow: bool) -> Iterator[list[bytes]]:
        """The run's log as NDJSON lines, those together that came together. A dropped connection is taken up where it broke off."""
        query = f"follow={'true' if follow else 'false'}" + (f"&job={quoted_segment(job)}" if job else "")
        target = f"/v1/runs/{quoted_segment(run)}/lines?{query}"
        done = 0
        fruitless = 0
        while True:
            exchange = self.open(target)
            known = 0  # lines of this answer that are not to be told again
            before = done
            try:
                for lines in exchange.lines():
                    fresh = lines[max(0, done - known) :]
                    known += len(lines)
                    if fresh:
                        done += len(fresh)
                        yield fresh
                return
            except OSError:  # the engine went: its successor tells the same lines again
                fruitless = self.cut_off(fruitless, progress=done > before)
            finally:
                exchange.close()

    def log_bytes(self, uid: str, start: int = 0, end: int | None = None, *, follow: bool = False) -> Iterator[bytes]:
        """A job's log from byte `start` to before byte `end` as it lies on disk; with `follow` until the job has ended.

        A dropped connection is taken up at the byte where it broke off.
        """
        rest = f"&to={end}" if end is not None else "&follow=true" if follow else ""
        done = start
        fruitless = 0
        while True:
            exchange = self.open(f"/v1/jobs/{quoted_segment(uid)}/log?from={done}{rest}")
            before = done
            try:
                while not exchange.ended:
                    data = exchange.receive()
                    if data:  # the end may come by itself
                        done += len(data)
                        yield data
                return
            except OSError:
                fruitless = self.cut_off(fruitless, progress=done > before)
            finally:
                exchange.close()

    # -- the daemon -------------------------------------------------------------------------------------------------------

    def daemon_status(self) -> dict[str, Any]:
        return self.ask("GET", "/v1/daemon")  # type: ignore[no-any-return]

    def prune(self, *, dry_run: bool) -> dict[str, Any]:
        """Drop what is no longer kept: what went, in numbers."""
        return self.ask("POST", "/v1/prune", {"dry_run": dry_run}, answer_limit_s=PRUNE_LIMIT_S)  # type: ignore[no-any-return]

    def cache_entries(self, directory: str) -> dict[str, Any]:
        """The results of a repository's jobs that are kept."""
        return self.ask("GET", f"/v1/cache?directory={quoted_segment(directory)}")  # type: ignore[no-any-return]

    def prune_cache(self, directory: str, limit_bytes: int | None) -> dict[str, Any]:
        """Drop results until no more than `limit_bytes` are left; None: the project's bound. What went."""
        body: dict[str, Any] = {"directory": directory, **({"limit_bytes": limit_bytes} if limit_bytes is not None else {})}
        return self.ask("POST", "/v1/cache/prune", body, answer_limit_s=PRUNE_LIMIT_S)  # type: ignore[no-any-return]

    def stop_daemon(self, *, force: bool) -> None:
        """Ask the daemon to end. SparkiError `runs_active` when runs are active and `force` is not given."""
        self.ask("POST", "/v1/daemon/stop", {"force": force})

    def restart_daemon(self) -> None:
        """Ask the daemon to execute itself anew; runs go on."""
        self.ask("POST", "/v1/daemon/restart")

    def cut_off(self, fruitless: int, *, progress: bool) -> int:
        """A stream ended early; the new count of such ends in a row without progress, after a pause that grows with it.

        Raises SparkiError `daemon_unreachable` beyond FRUITLESS_LIMIT.
        """
        if progress:
            return 0
        if fruitless >= FRUITLESS_LIMIT:
            raise launch.unreachable(self.paths, "the daemon hangs up in the middle of every answer")
        time.sleep(min(PAUSE_LIMIT_S, 0.01 * fruitless))  # an engine that ends closes its streams at once; the next one takes a moment
        return fruitless + 1

    # -- the wire ---------------------------------------------------------------------------------------------------------

    def open(self, target: str, *, limit_s: float = RETRY_LIMIT_S, data: object = None) -> Exchange:
        """A stream that answers GET `target`, or POST with `data`, its head read; it waits for ever for what comes. Raises SparkiError."""
        body = b"" if data is None else json.dumps(data).encode()

        def talk(sock: _socket.socket) -> tuple[Exchange, bytes]:
            exchange = http.exchange(sock, "POST" if body else "GET", target, body)
            return exchange, exchange.read() if exchange.status >= 400 else b""

        exchange, refused = self._reach(talk, limit_s, RETRY_LIMIT_S)
        if exchange.status >= 400:
            raise refusal(refused, exchange.status)
        exchange.wait_at_most(None)
        return exchange

    def ask(
        self, method: str, target: str, data: object = None, *, limit_s: float = RETRY_LIMIT_S, answer_limit_s: float = RETRY_LIMIT_S
    ) -> Any:
        """The JSON that answers. Raises SparkiError: what the engine says, or `daemon_unreachable`."""
        body = b"" if data is None else json.dumps(data).encode()
        headers: tuple[str, ...] = ()
        if method == "POST":
            # one key for all tries: an answer that got lost does not make a second run
            headers = (f"Idempotency-Key: {os.urandom(16).hex()}",)

        def talk(sock: _socket.socket) -> tuple[int, bytes]:
            exchange = http.exchange(sock, method, target, body, headers)
            return exchange.status, exchange.read()

        status, answer = self._reach(talk, limit_s, answer_limit_s)
        if status >= 400:
            raise refusal(answer, status)
        try:
            return json.loads(answer) if answer else None
        except ValueError:
            raise launch.unreachable(self.paths, "the daemon's answer is no JSON") from None

    def _reach(self, talk: Callable[[_socket.socket], Answer], limit_s: float, answer_limit_s: float) -> Answer:
        """What `talk` makes of a connection; when the engine goes meanwhile, again with the next one, for at most `limit_s`."""
        deadline = 0.0
        while True:
            sock = self._connection()
            sock.settimeout(answer_limit_s)
            try:
                return talk(sock)
            except TimeoutError:
                raise launch.unreachable(self.paths, f"the daemon did not answer within {answer_limit_s:.0f} s") from None
            except OSError as error:
                now = time.monotonic()
                deadline = deadline or now + limit_s
                if now > deadline:
                    raise launch.unreachable(self.paths, f"the daemon hangs up before it has answered ({error})") from None
                time.sleep(0.02)

    def _connection(self) -> _socket.socket:
        found = launch.ensure(self.paths) if self._may_start else launch.connect(self.paths)
        if found is None:
            from sparki_daemon.model.problem import ExitCode, Problem, SparkiError

            problem = Problem(code="daemon_not_running", message="the daemon is not running", hint="sparki daemon start")
            raise SparkiError(problem, exit_code=ExitCode.UNREACHABLE)
        sock, told = found
        if not self.told:
            self.told = told
            if self._on_found:
                self._on_found(self, told)
        return sock


def quoted_segment(text: str) -> str:
    """`text` as one segment of a path, or one value of a query: a `/` in it is quoted too."""
    return quoted(text).replace("/", "%2F")


def refusal(body: bytes, status: int) -> SparkiError:
    """The SparkiError that a problem document tells of. Source: RFC 9457; `problems` and `exit_code` are ours."""
    from sparki_daemon.model.problem import ExitCode, Problem, SparkiError, problem_from_json

    try:
        document = json.loads(body)
        problems = [problem_from_json(item) for item in document.get("problems", ())]
        if not problems:
            message = str(document.get("detail") or document.get("title") or f"the daemon answered {status}")
            problems = [Problem(code=str(document.get("code", "daemon_error")), message=message)]
        exit_code = ExitCode(document.get("exit_code", _exit_code(status)))
    except (ValueError, TypeError, AttributeError):
        return SparkiError(Problem(code="daemon_error", message=f"the daemon answered {status}"), exit_code=ExitCode(_exit_code(status)))
    return SparkiError(*problems, exit_code=exit_code)


def _exit_code(status: int) -> int:
    return {400: 2, 403: 4, 404: 5, 409: 2, 422: 2}.get(status, 1 if status < 503 else 3)

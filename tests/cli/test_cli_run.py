from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from cli_stories import EXCERPT, GREEN, RED, Program, serve_run, shown, tell
from stand_in import Reply, Request, StandIn, answers, dies_first, event

Golden = Callable[[str, str], None]


def test_a_run_of_one_job_is_its_text_and_a_summary(sparki: Program, stand_in: StandIn, golden: Golden) -> None:
    serve_run(stand_in, GREEN)
    done = sparki("run")
    assert (done.returncode, done.stderr) == (0, "")
    golden("run_green.txt", done.stdout)


def test_several_jobs_stand_behind_their_names_and_failures_come_last(sparki: Program, stand_in: StandIn, golden: Golden) -> None:
    serve_run(stand_in, RED, excerpts=[EXCERPT])
    done = sparki("run")
    assert (done.returncode, done.stderr) == (1, "")
    golden("run_red.txt", done.stdout)


def test_quiet_is_the_verdict_and_why(sparki: Program, stand_in: StandIn, golden: Golden) -> None:
    serve_run(stand_in, RED, excerpts=[EXCERPT])
    golden("run_red_quiet.txt", sparki("run", "-q").stdout)
    assert stand_in.asked("GET", "/v1/runs/r-1/follow")[0].values("log") == ["false"]


def test_letters_stand_for_glyphs_where_these_can_not_be_shown(sparki: Program, stand_in: StandIn, golden: Golden) -> None:
    sparki.env |= {"LANG": "en_US.ISO-8859-1", "LC_ALL": None, "LC_CTYPE": None, "PYTHONCOERCECLOCALE": "0"}
    serve_run(stand_in, RED, excerpts=[EXCERPT])
    out = sparki("run").stdout
    assert out.isascii()
    golden("run_red_ascii.txt", out)


def test_with_json_each_event_is_a_line_and_the_last_is_the_end(sparki: Program, stand_in: StandIn) -> None:
    serve_run(stand_in, RED)
    done = sparki("run", "--json")
    assert (done.returncode, done.stderr) == (1, "")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines == [item for item in RED if "seq" in item]
    assert (lines[-1]["kind"], lines[-1]["data"]) == ("run.finished", {"run": "r-1", "status": "failure"})


def serve_two(stand_in: StandIn) -> None:
    serve_run(stand_in, GREEN)
    other = [event(20, "run.created", run="r-2"), event(21, "run.finished", run="r-2", status="failure")]
    started = [{"run": "r-1", "pipeline": "ci", "file": "f"}, {"run": "r-2", "pipeline": "docs", "file": "g"}]
    stand_in.on("POST", "/v1/runs", answers({"runs": started, "since": 0}, 201))
    stand_in.on("GET", "/v1/runs/r-2", answers(shown("r-2", other, "docs")))
    stand_in.on("GET", "/v1/runs/r-2/follow", tell(other))
    stand_in.on("GET", "/v1/runs/r-2/excerpts", answers({"excerpts": []}))


def test_several_runs_end_with_one_line_for_all_and_the_worst_exit_code(sparki: Program, stand_in: StandIn) -> None:
    serve_two(stand_in)
    done = sparki("run", "--json")
    assert done.returncode == 1
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert sorted(line["seq"] for line in lines[:-1]) == [1, 2, 3, 4, 5, 6, 7, 20, 21]
    last = lines[-1]
    assert list(last) == ["seq", "time", "stream", "kind", "data"]
    assert (last["seq"], last["kind"]) == (21, "runs.finished")
    assert last["data"] == {"runs": [{"run": "r-1", "status": "success"}, {"run": "r-2", "status": "failure"}], "status": "failure"}


def test_several_runs_are_told_apart_and_the_red_one_is_summed_up_last(sparki: Program, stand_in: StandIn) -> None:
    serve_two(stand_in)
    out = sparki("run").stdout
    assert "✓ ci / build: success" in out
    assert out.index("r-1\n") < out.index("r-2\n")


def test_the_request_carries_the_options_the_folder_and_the_environment(sparki: Program, stand_in: StandIn) -> None:
    serve_run(stand_in, GREEN)
    (sparki.cwd / "sub").mkdir()
    sparki.env["SOME_VARIABLE"] = "välue"
    sparki(
        "run", "ci", "x.yml", "--job", "a", "--job", "b", "--jobs", "3", "--ref", "v1", "--no-cache", "--workspace", "source", "-C", "sub"
    )
    body = stand_in.asked("POST", "/v1/runs")[0].body
    assert body.pop("env")["SOME_VARIABLE"] == "välue"
    assert body == {
        "directory": str(sparki.cwd / "sub"),
        "pipelines": ["ci", "x.yml"],
        "jobs": ["a", "b"],
        "max_parallel": 3,
        "workspace": "source",
        "ref": "v1",
        "no_cache": True,
    }


def test_a_detached_run_is_named_and_left_alone(sparki: Program, stand_in: StandIn) -> None:
    serve_run(stand_in, GREEN)
    assert sparki("run", "--detach").stdout == "r-1  ci\n"
    assert json.loads(sparki("run", "-d", "--json").stdout) == {"run": "r-1", "pipeline": "ci"}
    assert stand_in.asked("GET", "/v1/runs/r-1/follow") == []


def test_a_retry_is_followed_from_its_beginning(sparki: Program, stand_in: StandIn) -> None:
    serve_run(stand_in, GREEN)
    stand_in.on("GET", "/v1/runs/latest", answers(shown("r-1", GREEN)))
    stand_in.on("POST", "/v1/runs/r-1/retry", answers({"run": "r-1", "attempt": 2, "since": 2}, 202))
    done = sparki("retry", "latest", "--failed")
    assert done.returncode == 0
    assert stand_in.asked("POST", "/v1/runs/r-1/retry")[0].body == {"failed": True}
    assert stand_in.asked("GET", "/v1/runs/r-1/follow")[0].values("since") == ["2"]


def test_a_job_that_is_not_run_again_keeps_its_status_in_the_summary(sparki: Program, stand_in: StandIn) -> None:
    serve_run(stand_in, GREEN)
    times = {"started": "2026-11-23T11:59:00.000Z", "finished": "2026-11-23T11:59:02.500Z"}
    kept = {"id": "lint", "uid": "j-lint", "name": "lint", "status": "success", "steps": [], **times}
    tried = {"id": "try", "uid": "j-try", "name": "try", "status": "failure", "tolerated": True, "reason": "", "steps": [], **times}
    again = {"id": "build", "uid": "j-build", "name": "build", "status": "queued", "steps": []}
    retried = {**shown("r-1", GREEN), "jobs": [kept, tried, again]}
    stand_in.on("GET", "/v1/runs/r-1", answers(retried))
    stand_in.on("POST", "/v1/runs/r-1/retry", answers({"run": "r-1", "attempt": 2, "since": 2}, 202))
    told = sparki("retry", "r-1", "--failed").stdout.splitlines()
    assert "  ✓ lint  success  2.5s" in told
    assert "  ✗ try  failure, tolerated  2.5s" in told
    assert "  ✓ build  success  1.5s" in told


def test_what_was_left_out_of_the_source_is_noted(sparki: Program, stand_in: StandIn) -> None:
    serve_run(stand_in, GREEN)
    note = {"code": "embedded", "message": "emb/ is left out"}
    stand_in.on("POST", "/v1/runs", answers({"runs": [{"run": "r-1", "pipeline": "ci"}], "since": 0, "notes": [note]}, 201))
    assert sparki("run").stderr == "note: emb/ is left out\n"


def test_an_engine_that_dies_at_every_turn_changes_nothing_that_is_shown(sparki: Program, stand_in: StandIn, golden: Golden) -> None:
    serve_run(stand_in, RED, excerpts=[EXCERPT])
    for method, path in list(stand_in.routes):
        if not path.endswith("/follow"):
            stand_in.on(method, path, dies_first(1, stand_in.routes[method, path]))
    told = iter(range(1, 100, 2))

    def follow(request: Request, reply: Reply) -> None:
        count = next(told)
        whole: list[dict[str, Any]] = []

        class Cut:
            def begin(self) -> None:
                reply.begin()

            def lines(self, *items: Any) -> None:
                whole.extend(items)
                reply.lines(*items[:count])

            def end(self) -> None:
                if count >= len(whole):
                    reply.end()

        tell(RED)(request, Cut())  # type: ignore[arg-type]

    stand_in.on("GET", "/v1/runs/r-1/follow", follow)
    golden("run_red.txt", sparki("run").stdout)
    assert len(stand_in.asked("GET", "/v1/runs/r-1/follow")) > 3

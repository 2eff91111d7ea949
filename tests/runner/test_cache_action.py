"""actions/cache and its halves as jobs use them."""

from __future__ import annotations

import pytest
from driver import Done, Driver, step

MAIN = {"repository": "o/r", "ref": "refs/heads/main", "run_attempt": "1"}
FEATURE = {**MAIN, "ref": "refs/heads/feature"}
EVENT = {"repository": {"default_branch": "main"}}
SHOW = "echo [${{ steps.c.outputs.cache-hit }}] [${{ steps.c.outputs.cache-matched-key }}]; cat deps/lib 2>/dev/null || echo none"
FILL = "mkdir -p deps; echo filled > deps/lib"


def cache(key: str, path: str = "deps", half: str = "", **inputs: str) -> dict:
    given = {"path": path, "key": key, **{name.replace("_", "-"): text for name, text in inputs.items()}}
    return step(uses=f"actions/cache{half}@v4", id="c", inputs=given)


def do(runner: Driver, *steps: dict | str, github: dict = MAIN, **keys: object) -> Done:
    return runner.do(*steps, run_github=github, run_event=EVENT, **keys)


def shown(done: Done, index: int = 1) -> list[str]:
    return done.text(index).splitlines()[1:]


def test_what_a_job_saves_the_next_begins_with(runner: Driver) -> None:
    first = do(runner, cache("k1"), SHOW, FILL)
    second = do(runner, cache("k1"), SHOW)
    third = do(runner, cache("k2", restore_keys="x-\nk"), SHOW)

    assert shown(first) == ["[] []", "none"]
    assert first.steps[-1]["name"] == "Post Run actions/cache@v4"
    assert "Saved the cache 'k1'" in first.log
    assert shown(second) == ["[true] [k1]", "filled"]
    assert "Nothing is saved: the cache 'k1' was restored" in second.log
    assert shown(third) == ["[false] [k1]", "filled"]
    assert "Saved the cache 'k2'" in third.log


def test_a_job_that_fails_saves_nothing(runner: Driver) -> None:
    done = do(runner, cache("k"), FILL, "exit 1")

    assert done.conclusions == ["success", "success", "failure", "skipped"]
    assert shown(do(runner, cache("k"), SHOW)) == ["[] []", "none"]


def test_a_branch_sees_its_own_and_the_default_branchs(runner: Driver) -> None:
    do(runner, cache("k-main"), FILL)
    do(runner, cache("k-feature"), FILL, github=FEATURE)

    assert shown(do(runner, cache("k-main"), SHOW, github=FEATURE)) == ["[true] [k-main]", "filled"]
    assert shown(do(runner, cache("k-x", restore_keys="k-"), SHOW, github=FEATURE)) == ["[false] [k-feature]", "filled"]
    assert shown(do(runner, cache("k-feature"), SHOW)) == ["[] []", "none"]
    pull = {**MAIN, "ref": "refs/pull/1/merge", "base_ref": "feature"}
    assert shown(do(runner, cache("k-feature"), SHOW, github=pull)) == ["[true] [k-feature]", "filled"]


def test_other_paths_are_another_cache(runner: Driver) -> None:
    do(runner, cache("k"), FILL)

    assert shown(do(runner, cache("k", "deps\nmore"), SHOW)) == ["[] []", "none"]


def test_folders_of_the_jobs_home_are_restored_there(runner: Driver) -> None:
    do(
        runner,
        cache("k", "~/.tool\nsub/*/x"),
        "mkdir -p ~/.tool sub/a sub/b; echo t > ~/.tool/t; echo a > sub/a/x; echo no > sub/b/y; echo b > sub/b/x",
    )
    done = do(runner, cache("k", "~/.tool\nsub/*/x"), "cat ~/.tool/t; find sub -type f | sort")

    assert shown(done) == ["t", "sub/a/x", "sub/b/x"]


def test_the_users_own_folders_are_neither_saved_nor_restored(runner: Driver) -> None:
    own = runner.home / "user" / ".cache" / "pip"
    own.mkdir(parents=True)
    (own / "wheel").write_text("the user's")
    first = do(runner, cache("k", f"{own}\ndeps"), FILL)
    (own / "wheel").write_text("newer")
    second = do(runner, cache("k", f"{own}\ndeps"), SHOW)

    assert f"'{own}' is none of this job's folders" in first.log
    assert shown(second) == ["[true] [k]", "filled"]
    assert (own / "wheel").read_text() == "newer"


def test_restore_and_save_are_halves_of_it(runner: Driver) -> None:
    first = do(runner, cache("k", half="/restore"), FILL, {**cache("k", half="/save"), "id": "s"}, {**cache("k", half="/save"), "id": "t"})
    second = do(runner, cache("k", half="/restore"), SHOW)

    assert first.conclusions == ["success"] * 4
    assert "Nothing is saved: there is a cache 'k'" in first.text(3)
    assert shown(second) == ["[true] [k]", "filled"]


def test_a_miss_can_fail_and_a_look_restores_nothing(runner: Driver) -> None:
    done = do(runner, cache("k", fail_on_cache_miss="true"))
    assert done.conclusions == ["failure", "skipped"]
    assert "there is no cache for the key 'k'" in done.log

    do(runner, cache("k"), FILL)
    assert shown(do(runner, cache("k", lookup_only="true"), SHOW)) == ["[true] [k]", "none"]


@pytest.mark.parametrize(
    ("key", "message"),
    [("a,b", "no comma"), ("x" * 513, "512 characters"), ("", "'key' must be given")],
)
def test_a_key_that_github_refuses_is_refused(runner: Driver, key: str, message: str) -> None:
    done = do(runner, cache(key))

    assert done.conclusions[0] == "failure"
    assert message in done.log


def test_paths_that_are_not_there_are_a_warning(runner: Driver) -> None:
    done = do(runner, cache("k", "none"))

    assert done.conclusions == ["success", "success"]
    assert done.steps[1]["annotations"][0]["message"] == "nothing is saved: none of the paths is there"


def test_a_damaged_cache_is_a_miss(runner: Driver) -> None:
    do(runner, cache("k"), FILL)
    for path in (runner.home / "cache").rglob("data.tar"):
        path.write_bytes(b"x" * 2048)
    done = do(runner, cache("k"), SHOW, FILL)

    assert shown(done) == ["[] []", "none"]
    assert "the cache 'k' was damaged, and is removed" in done.log
    assert shown(do(runner, cache("k"), SHOW)) == ["[true] [k]", "filled"]

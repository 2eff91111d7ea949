from __future__ import annotations

from sparki_daemon.model.history import Ended, RunEnd, broken_since, expensive, flaky, is_slow, of_run, slow


def ended(
    run: str, *, good: bool = True, tree: str = "t", key: str = "a", ms: int | None = 1000, cached: bool = False, again: bool = False
) -> Ended:
    finished = "" if ms is None else f"2026-01-01T00:00:{ms // 1000:02}.{ms % 1000:03}Z"
    started = "" if ms is None else "2026-01-01T00:00:00.000Z"
    names = {"key": key, "name": key.upper(), "file": "ci.yml", "pipeline": "ci"}
    return Ended(run=run, tree=tree, good=good, cached=cached, started=started, finished=finished, failed_before=again, **names)


def test_the_same_tree_with_another_result_is_flaky() -> None:
    [found] = flaky([ended("r-3"), ended("r-2", good=False), ended("r-1")])
    assert (found["job"], found["trees"], found["passed"], found["failed"]) == ("a", 1, "r-3", "r-2")


def test_another_tree_another_job_or_the_same_result_is_not_flaky() -> None:
    assert flaky([ended("r-2", good=False, tree="u"), ended("r-1")]) == []
    assert flaky([ended("r-2", good=False, key="b"), ended("r-1")]) == []
    assert flaky([ended("r-2", good=False), ended("r-1", good=False)]) == []
    assert flaky([ended("r-2", good=False, tree=""), ended("r-1", tree="")]) == []


def test_a_job_that_passed_at_a_second_attempt_is_flaky() -> None:
    [found] = flaky([ended("r-1", again=True)])
    assert (found["passed"], found["failed"]) == ("r-1", "r-1")


def test_the_most_often_flaky_comes_first() -> None:
    twice = [ended(f"r-{tree}{good}", tree=tree, good=good, key="b") for tree in "tu" for good in (True, False)]
    assert [entry["job"] for entry in flaky([ended("r-1"), ended("r-2", good=False), *twice])] == ["b", "a"]


def test_slower_than_each_of_the_times_before_is_slow() -> None:
    usual = [ended(f"r-{n}", ms=1000 + n) for n in range(5)]
    [found] = slow([ended("r-9", ms=1500), *usual])
    assert (found["run"], found["took_ms"], found["usual_ms"]) == ("r-9", 1500, 1002)
    assert slow([ended("r-9", ms=1003), *usual]) == []


def test_few_times_small_differences_and_one_that_was_slower_before_make_nothing_slow() -> None:
    assert not is_slow(5000, [1000] * 4)
    assert not is_slow(1150, [1000] * 5)
    assert not is_slow(99, [1] * 5)
    assert not is_slow(5000, [1000] * 5 + [5000])
    assert is_slow(1201, [1000] * 5)


def test_only_the_last_twenty_times_count() -> None:
    before = [ended(f"r-{n}", ms=1000) for n in range(20)]
    assert [entry["run"] for entry in slow([ended("r-x", ms=2000), *before, ended("r-old", ms=9000)])] == ["r-x"]


def test_what_came_from_the_cache_or_failed_says_nothing_of_time() -> None:
    usual = [ended(f"r-{n}") for n in range(5)]
    assert slow([ended("r-c", ms=1, cached=True), ended("r-f", ms=9000, good=False), *usual]) == []
    assert [
        (entry["runs"], entry["total_ms"]) for entry in expensive([ended("r-c", cached=True), ended("r-n", ms=None), ended("r-1")])
    ] == [(1, 1000)]


def test_the_dearest_job_comes_first() -> None:
    found = expensive([ended("r-1"), ended("r-1", key="b", ms=4000), ended("r-2")])
    assert [(entry["job"], entry["runs"], entry["total_ms"]) for entry in found] == [("b", 1, 4000), ("a", 2, 2000)]


def ends(*states: str) -> list[RunEnd]:
    return [RunEnd(f"r-{index}", state, f"c{index}") for index, state in enumerate(states)]


def test_broken_since_is_the_first_red_run_after_the_last_good_one() -> None:
    found = broken_since(ends("failure", "cancelled", "lost", "success", "failure"))
    assert found == {"run": "r-2", "commit": "c2", "last_good": {"run": "r-3", "commit": "c3"}, "at_least": False}


def test_without_a_good_run_it_was_always_broken() -> None:
    assert broken_since(ends("failure", "failure")) == {"run": "r-1", "commit": "c1", "last_good": None, "at_least": False}


def test_without_a_good_run_among_those_looked_at_it_is_broken_at_least_so_long() -> None:
    assert broken_since(ends("failure", "failure"), more=True) == {"run": "r-1", "commit": "c1", "last_good": None, "at_least": True}
    known = broken_since(ends("failure", "success"), more=True)
    assert known
    assert not known["at_least"]


def test_a_run_that_is_green_or_goes_on_is_not_broken() -> None:
    assert broken_since(ends("success", "failure")) is None
    assert broken_since(ends("running", "failure")) is None
    assert broken_since([]) is None


def test_a_run_hears_of_its_own_jobs_only() -> None:
    jobs = [ended("r-2"), ended("r-1", good=False), ended("r-1", key="b"), ended("r-0", key="b", good=False)]
    told = of_run("r-2", ends("success"), jobs)
    assert ([entry["job"] for entry in told["flaky"]], told["slow"], told["broken_since"]) == (["a"], [], None)

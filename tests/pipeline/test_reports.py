"""Where test reports are: a job's own word, else that of `sparki.yml`."""

from __future__ import annotations

from sparki_daemon.model.plan import JobCache, JobPlan, Plan, plan_from_json
from sparki_daemon.pipeline import cache_key
from sparki_daemon.pipeline.cache_inputs import SourceFiles
from sparki_daemon.pipeline.reader import read
from sparki_daemon.pipeline.reports import with_reports
from sparki_daemon.pipeline.schema import Dialect


def job(key: str, **keys: object) -> JobPlan:
    return JobPlan(id=key, base=key, name=key, line=1, column=1, **keys)  # type: ignore[arg-type]


def test_a_job_of_sparkis_dialect_names_its_own() -> None:
    document = read(b"jobs: {test: {junit: ['r/*.xml'], steps: [make]}}", "ci.yml", Dialect.SPARKI)

    assert document.jobs[0].junit == ("r/*.xml",)


def test_those_of_the_settings_are_for_the_jobs_that_name_none() -> None:
    plan = with_reports(Plan(name="ci", file="ci.yml", jobs=(job("a", junit=("a.xml",)), job("b"))), ("*.xml",))

    assert [one.junit for one in plan.jobs] == [("a.xml",), ("*.xml",)]
    assert plan_from_json(plan.to_json()) == plan
    assert with_reports(plan, ()) is plan


def test_a_job_whose_reports_are_others_is_no_longer_the_same() -> None:
    around = cache_key.Around(contexts={}, files=SourceFiles.of("t", {}), system="s")
    keys = {cache_key.key_of(cache_key.parts_of((), job("a", cache=JobCache(), junit=junit), around)) for junit in ((), ("a",), ("b",))}

    assert len(keys) == 3

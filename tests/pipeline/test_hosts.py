"""Jobs that ask for another operating system."""

import pytest

from sparki_daemon.model.plan import JobPlan, Plan
from sparki_daemon.pipeline.hosts import differences, foreign_label, skip_reason


def job(*labels):
    return JobPlan(id="test", base="test", name="test", line=4, column=3, runs_on=labels)


@pytest.mark.parametrize("labels", [(), ("ubuntu-latest",), ("Ubuntu-22.04",), ("self-hosted", "linux", "gpu"), ("my-own-machine",)])
def test_a_job_for_this_system_or_for_no_system_runs_here(labels):
    assert foreign_label(labels, "Linux") is None


@pytest.mark.parametrize("labels", [("windows-latest",), ("macOS-14",), ("self-hosted", "Windows")])
def test_a_job_for_another_system_names_the_label(labels):
    assert foreign_label(labels, "Linux") == labels[-1]
    assert skip_reason(job(*labels), "Linux") == f"runs-on '{labels[-1]}': this machine runs Linux"


def test_on_a_mac_it_is_the_other_way_round():
    assert foreign_label(("macos-latest",), "macOS") is None
    assert foreign_label(("ubuntu-latest",), "macOS") == "ubuntu-latest"


def test_a_skipped_job_is_a_difference_with_its_place():
    plan = Plan(name="ci", file="ci.yml", jobs=(job("windows-latest"), job("ubuntu-latest")))

    assert [(one["code"], one["file"], one["line"], one["column"]) for one in differences(plan, "Linux")] == [("SPK001", "ci.yml", 4, 3)]

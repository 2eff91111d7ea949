"""Jobs that ask for another operating system."""

import pytest

from sparki_daemon.model.plan import JobPlan
from sparki_daemon.pipeline.hosts import foreign_label, missing_hardware, own_labels, skip_reason


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


@pytest.mark.parametrize(
    ("labels", "found"),
    [
        (("ubuntu-24.04-arm",), ["ubuntu-24.04-arm"]),
        (("self-hosted", "linux", "ARM64", "gpu"), ["ARM64", "gpu"]),
        (("gpu-runner",), ["gpu-runner"]),
        (("ubuntu-latest",), []),
        (("self-hosted", "x64"), []),
        (("farm",), []),
    ],
)
def test_labels_may_name_a_processor_or_a_device_that_is_not_here(labels, found):
    assert missing_hardware(labels, "X64") == found


def test_on_an_arm_machine_arm_is_here():
    assert missing_hardware(("ubuntu-24.04-arm",), "ARM64") == []
    assert missing_hardware(("x64",), "ARM64") == ["x64"]


@pytest.mark.parametrize(
    "label", ["ubuntu-22.04", "ubuntu-slim", "macos-15-intel", "macOS-latest-xlarge", "windows-11-arm", "windows-2025"]
)
def test_labels_of_githubs_own_runners_are_nobodys(label):
    assert own_labels((label,)) == []


@pytest.mark.parametrize(
    ("labels", "found"),
    [
        (("self-hosted", "Linux", "X64"), []),
        (("self-hosted", "build-farm", "fast"), ["build-farm", "fast"]),
        (("ubuntu-latest", "ubuntu-latest-16-cores"), ["ubuntu-latest-16-cores"]),
        (("${{ needs.a.outputs.host }}",), []),
    ],
)
def test_labels_that_github_has_not_are_somebodys_own(labels, found):
    assert own_labels(labels) == found

"""Times and sizes of `sparki.yml`, and `retention`, which is written in them."""

from __future__ import annotations

import pytest

from sparki_daemon.model.problem import SparkiError
from sparki_daemon.pipeline.amounts import seconds, size_bytes, size_text
from sparki_daemon.pipeline.settings import read_settings


@pytest.mark.parametrize(("text", "value"), [("500ms", 0.5), ("30s", 30), ("10m", 600), ("2h", 7200), ("90d", 7_776_000), ("1.5h", 5400)])
def test_times(text: str, value: float) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["", "30", "d", "-1d", "1w", "1d 2h", "١d"])
def test_what_is_no_time(text: str) -> None:
    assert seconds(text) is None


@pytest.mark.parametrize(("text", "value"), [("0 B", 0), ("512 MiB", 512 * 1024**2), ("5GiB", 5 * 1024**3), ("0.5 KiB", 512)])
def test_sizes(text: str, value: int) -> None:
    assert size_bytes(text) == value


@pytest.mark.parametrize("text", ["", "5", "5 GB", "GiB", "-1 B"])
def test_what_is_no_size(text: str) -> None:
    assert size_bytes(text) is None


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (5 * 1024**3, "5.0 GiB"), (2048 * 1024**4, "2048 TiB")]
)
def test_sizes_for_people(count: int, text: str) -> None:
    assert size_text(count) == text


def test_retention_is_read() -> None:
    read = read_settings(b"retention: {runs: 7d, logs: 1 GiB, artifacts: 12h}\n")

    assert read.retention == {"runs_s": 604_800, "logs_bytes": 1024**3, "artifacts_s": 43_200}


def test_each_wrong_amount_is_told_with_its_place() -> None:
    with pytest.raises(SparkiError) as caught:
        read_settings(b"retention:\n  runs: soon\n  logs: 5 GB\n")

    assert [(problem.code, str(problem.at)) for problem in caught.value.problems] == [
        ("bad_amount", "sparki.yml:2:9"),
        ("bad_amount", "sparki.yml:3:9"),
    ]

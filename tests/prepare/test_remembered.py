"""Files are read once for as long as they stay as they are."""

from __future__ import annotations

import pytest

from sparki_daemon.model.problem import SparkiError
from sparki_daemon.prepare.remembered import MOST_BYTES, read

FILE = ".github/workflows/ci.yml"
TEXT = b"on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: make\n"


def test_the_same_content_gives_the_same_document():
    assert read(TEXT, FILE) is read(bytes(bytearray(TEXT)), FILE)


def test_another_content_or_another_file_is_read():
    assert read(TEXT.replace(b"make", b"ninja"), FILE).jobs[0].steps[0].run.text == "ninja"
    assert read(TEXT, ".github/workflows/other.yml").file == ".github/workflows/other.yml"


def test_a_broken_file_is_told_of_each_time():
    for _ in range(2):
        with pytest.raises(SparkiError):
            read(b"on: push\njobs: 1\n", FILE)


def test_a_large_file_is_not_kept():
    large = TEXT + b"# " + b"x" * MOST_BYTES
    assert read(large, FILE) is not read(large, FILE)
    assert read(large, FILE) == read(large, FILE)

"""Where a secret's value comes from, and which of two counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from sparki_daemon.model.problem import SparkiError
from sparki_daemon.vault.sources import EVERY, Sources
from sparki_daemon.vault.store import Secrets


@pytest.fixture
def secrets(tmp_path, monkeypatch) -> Secrets:
    monkeypatch.setenv("SPARKI_KEYRING", "off")
    return Secrets(str(tmp_path / "state"))


def test_what_was_given_counts_before_what_is_set_and_that_before_the_dot_env(secrets: Secrets, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("A=env\nB=env\nc=env\nno pair\nUNREAD=env\n")
    secrets.put("/p", "A", "set")
    secrets.put("/p", "B", "set")
    sources = Sources(secrets, "/p", str(tmp_path), {"A": "given", "EXTRA": "given"})

    assert sources.values({"A", "B", "C", "NONE"}) == {"A": "given", "B": "set", "C": "env", "EXTRA": "given"}
    assert sources.names() == {"A", "B", "C", "EXTRA", "UNREAD"}


def test_whoever_reads_all_gets_what_is_set_and_not_the_dot_env(secrets: Secrets, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PORT=80\n")
    secrets.put("/p", "A", "set")

    assert Sources(secrets, "/p", str(tmp_path)).values({EVERY}) == {"A": "set"}


def test_a_name_that_was_asked_for_must_have_a_value(secrets: Secrets, tmp_path: Path) -> None:
    with pytest.raises(SparkiError) as caught:
        Sources(secrets, "/p", str(tmp_path)).values((), ["A", "B"])

    assert [(problem.code, problem.hint) for problem in caught.value.problems] == [
        ("secret_not_set", "sparki secret set A"),
        ("secret_not_set", "sparki secret set B"),
    ]

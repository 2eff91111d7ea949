"""K=V words, files of them, and payloads."""

from __future__ import annotations

import pytest

from sparki_cli.given import environment, pairs, payload
from sparki_daemon.model.problem import SparkiError


def test_a_pair_is_cut_at_its_first_sign_and_the_last_of_a_name_wins():
    assert pairs("--var", ["A=1=2", "B=", "A=3"]) == {"A": "3", "B": ""}


@pytest.mark.parametrize("word", ["A", "=1", ""])
def test_a_word_that_is_no_pair_is_wrong_usage(word):
    with pytest.raises(SparkiError, match="--input takes NAME=VALUE"):
        pairs("--input", [word])


def test_words_lie_over_files_and_later_files_over_earlier_ones(tmp_path):
    (tmp_path / "a").write_text("# first\nONE=1\n\nTWO = two \nexport THREE='3 # no comment'\n")
    (tmp_path / "b").write_text('TWO="line\\nnext"\nFOUR=four\n')

    assert environment(["FOUR=4"], ["a", "b"], str(tmp_path)) == {"ONE": "1", "TWO": "line\nnext", "THREE": "3 # no comment", "FOUR": "4"}


def test_a_line_that_is_no_pair_is_told_with_its_place(tmp_path):
    (tmp_path / "a").write_text("ONE=1\nnonsense\n")
    with pytest.raises(SparkiError) as caught:
        environment([], ["a"], str(tmp_path))

    assert str(caught.value.problems[0].at) == "a:2:1"


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(SparkiError, match="can't read nowhere: No such file"):
        environment([], ["nowhere"], str(tmp_path))


def test_a_payload_is_a_json_object_or_an_error_with_its_place(tmp_path):
    (tmp_path / "good").write_text('{"action": "opened"}')
    (tmp_path / "bad").write_text('{"action":\n opened}')
    (tmp_path / "list").write_text("[]")

    assert payload(None, str(tmp_path)) is None
    assert payload("good", str(tmp_path)) == {"action": "opened"}
    with pytest.raises(SparkiError) as caught:
        payload("bad", str(tmp_path))
    assert str(caught.value.problems[0].at) == "bad:2:2"
    with pytest.raises(SparkiError, match="no JSON object"):
        payload("list", str(tmp_path))

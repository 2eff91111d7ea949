"""What an adapter found, in words."""

from __future__ import annotations

from sparki_cli.env import facts_in_words


def test_a_process_is_told_in_a_sentence_and_what_there_is_nothing_of_is_left_out() -> None:
    facts = {"pid": 42, "port": 8000, "restarts": 1, "requests": 20113, "dropped": 2, "maintenance": None}
    assert facts_in_words(facts) == ["process 42 on port 8000, restarted 1 time", "2 of 20,113 requests dropped"]
    assert facts_in_words({"pid": 42, "port": None, "restarts": 0}) == ["process 42"]
    assert facts_in_words({"pid": None, "port": 28051, "restarts": 7}) == ["no process now on port 28051, restarted 7 times"]
    assert facts_in_words({}) == []


def test_what_other_adapters_tell_is_told_by_name_and_can_not_steer_the_terminal() -> None:
    facts = {"regions_in_use": ["ams", "fra"], "scaled": True, "machines": 1200, "error": "no \x1b[31m answer", "empty": ""}
    assert facts_in_words(facts) == [
        'regions in use: ["ams", "fra"]',
        "scaled: yes",
        "machines: 1,200",
        "error: no \\x1b[31m answer",
        "empty: ''",
    ]

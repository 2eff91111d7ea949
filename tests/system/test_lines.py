"""Lines between supervisor and engine."""

from __future__ import annotations

import random

import pytest

from sparki_daemon.system.lines import Lines, pack

MESSAGES = [{"runners": {"a-1": 7}}, {"born": "a-2", "pid": 8}, {"died": "a-1", "pid": 7, "status": 9}, {"do": "spawn"}]


@pytest.mark.parametrize("seed", range(20))
def test_messages_come_whole_and_in_order_however_they_are_cut(seed):
    dice = random.Random(seed)
    data, lines, heard = b"".join(pack(message) for message in MESSAGES), Lines(), []
    while data:
        cut = dice.randrange(1, len(data) + 1)
        heard += lines.feed(data[:cut])
        data = data[cut:]

    assert heard == MESSAGES


def test_half_a_message_is_none():
    assert list(Lines().feed(b'{"do": "spa')) == []


def test_a_line_that_is_no_message_is_refused():
    with pytest.raises(ValueError, match="Expecting value"):
        list(Lines().feed(b"hello\n"))

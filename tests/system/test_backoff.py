"""How soon a dead child is started again."""

from __future__ import annotations

from sparki_daemon.system.backoff import CAP_S, FIRST_S, delay_s


def test_the_first_death_costs_no_time():
    assert delay_s(0) == delay_s(1) == 0.0


def test_each_further_death_doubles_the_wait_up_to_its_cap():
    waits = [delay_s(deaths) for deaths in range(2, 12)]

    assert waits[:3] == [FIRST_S, 2 * FIRST_S, 4 * FIRST_S]
    assert waits[-1] == CAP_S
    assert waits == sorted(waits)


def test_five_quick_deaths_leave_the_engine_back_within_a_second():
    assert max(delay_s(deaths) for deaths in range(6)) < 1.0


def test_a_child_that_never_lives_is_still_tried_for_ever():
    assert delay_s(10**9) == CAP_S

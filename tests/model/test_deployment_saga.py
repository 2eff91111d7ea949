"""A deployment's saga: every way through it ends, and no way ends with two releases, or none, in front of people."""

from __future__ import annotations

import pytest

from sparki_daemon.model.deployment import (
    INDEX,
    MOVES,
    STEPS,
    Act,
    DeploymentState,
    Direction,
    Phase,
    Saga,
    SagaEvent,
    advance,
    next_act,
    replay,
)
from sparki_daemon.model.job import IllegalMove

E = SagaEvent


def through(*names: str) -> list[SagaEvent]:
    return [event for _ in names for event in (E.BEGUN, E.DONE)]


def before(step: str) -> list[SagaEvent]:
    return through(*(rule.name for rule in STEPS[: INDEX[step]]))


def all_sagas() -> dict[Saga, list[Saga]]:
    """Every saga that can be reached, with those that follow it."""
    known: dict[Saga, list[Saga]] = {}
    waiting = [Saga()]
    while waiting:
        saga = waiting.pop()
        if saga in known:
            continue
        known[saga] = []
        for event in SagaEvent:
            try:
                known[saga].append(advance(saga, event))
            except IllegalMove:
                continue
        waiting += known[saga]
    return known


def test_a_deployment_in_which_all_goes_well_is_live() -> None:
    saga = replay(through(*(rule.name for rule in STEPS)))

    assert (saga.state, next_act(saga)) == (DeploymentState.LIVE, Act.END)


@pytest.mark.parametrize(
    ("failing", "end"),
    [
        ("ship", DeploymentState.FAILED),
        ("health", DeploymentState.FAILED),
        ("watch", DeploymentState.REVERTED),
        ("retire", DeploymentState.LIVE),
    ],
)
def test_a_step_that_fails_is_undone_with_those_before_it_unless_traffic_is_there_to_stay(failing: str, end: DeploymentState) -> None:
    saga = replay([*before(failing), E.BEGUN, E.FAILED])
    undone = []
    while next_act(saga) is Act.UNDO:
        undone.append(saga.step.name)
        saga = advance(advance(saga, E.BEGUN), E.DONE)
    while next_act(saga) is Act.DO:
        saga = advance(advance(saga, E.BEGUN), E.DONE)

    assert saga.state is end
    if end is DeploymentState.LIVE:
        assert undone == []
    else:
        assert undone == [rule.name for rule in reversed(STEPS[: INDEX[failing] + 1]) if rule.undone]


def test_a_step_that_is_not_repeatable_is_looked_at_before_anything_else() -> None:
    saga = replay([*before("start"), E.BEGUN, E.INTERRUPTED])

    assert next_act(saga) is Act.LOOK
    with pytest.raises(IllegalMove):
        advance(saga, E.BEGUN)
    assert advance(saga, E.SEEN_DONE).step.name == "health"
    again = advance(saga, E.SEEN_ABSENT)
    assert (again.step.name, next_act(again)) == ("start", Act.DO)


def test_a_step_that_is_repeatable_is_done_again() -> None:
    saga = replay([*before("health"), E.BEGUN, E.INTERRUPTED])

    assert next_act(saga) is Act.DO
    assert advance(saga, E.BEGUN).phase is Phase.DOING


@pytest.mark.parametrize(
    ("resolved", "state", "act"),
    [
        (E.RESOLVED_LIVE, DeploymentState.LIVE, Act.END),
        (E.RESOLVED_FAILED, DeploymentState.FAILED, Act.END),
        (E.RESOLVED_RETRY, DeploymentState.RUNNING, Act.LOOK),
    ],
)
def test_what_nobody_can_tell_waits_for_a_person(resolved: SagaEvent, state: DeploymentState, act: Act) -> None:
    saga = replay([*before("release_command"), E.BEGUN, E.INTERRUPTED, E.SEEN_UNCLEAR])

    assert (saga.state, next_act(saga)) == (DeploymentState.UNKNOWN, Act.WAIT)
    saga = advance(saga, resolved)
    assert (saga.state, next_act(saga)) == (state, act)


def test_a_cancel_before_the_switch_undoes_and_one_after_it_goes_back_or_keeps() -> None:
    early = replay([*before("start"), E.CANCELLED])
    assert early.direction is Direction.BACK
    for step in ("ship", "lock"):
        assert early.step.name == step
        early = advance(advance(early, E.BEGUN), E.DONE)
    assert early.state is DeploymentState.CANCELLED

    watching = replay([*before("watch"), E.BEGUN])
    assert advance(watching, E.CANCELLED).step.name == "switch"
    assert advance(watching, E.KEPT).step.name == "retire"
    with pytest.raises(IllegalMove):
        advance(replay(before("health")), E.KEPT)


def test_a_rollback_takes_back_a_watch_and_nothing_before_or_after_it() -> None:
    for saga in (replay(before("watch")), replay([*before("watch"), E.BEGUN]), replay([*before("watch"), E.BEGUN, E.INTERRUPTED])):
        back = advance(saga, E.ROLLED_BACK)
        assert (back.direction, back.step.name) == (Direction.BACK, "switch")
        while back.phase is not Phase.ENDED:
            back = advance(advance(back, E.BEGUN), E.DONE)
        assert back.state is DeploymentState.REVERTED
    for step in ("switch", "retire", "done"):
        with pytest.raises(IllegalMove):
            advance(replay([*before(step), E.BEGUN]), E.ROLLED_BACK)


def test_an_undo_that_fails_waits_for_a_person_and_an_interrupted_one_is_done_again() -> None:
    undoing = replay([*before("watch"), E.BEGUN, E.FAILED, E.BEGUN])

    assert advance(undoing, E.FAILED).state is DeploymentState.UNKNOWN
    assert next_act(advance(undoing, E.INTERRUPTED)) is Act.UNDO


def test_from_everywhere_there_is_a_way_to_an_end() -> None:
    sagas = all_sagas()
    ending = {saga for saga in sagas if saga.phase is Phase.ENDED}
    while more := {saga for saga in sagas if saga not in ending and ending.intersection(sagas[saga])}:
        ending |= more

    assert ending == set(sagas)
    assert all(not sagas[saga] for saga in sagas if saga.phase is Phase.ENDED)


def test_every_end_is_told_apart() -> None:
    for saga in all_sagas():
        if saga.phase is Phase.ENDED:
            assert saga.state.terminal
        elif saga.phase is Phase.PARKED:
            assert saga.state is DeploymentState.UNKNOWN
        else:
            assert saga.state is DeploymentState.RUNNING
        if saga.state is DeploymentState.REVERTED:
            assert saga.cut
        if saga.direction is Direction.BACK and saga.phase is not Phase.ENDED:
            assert not saga.step.final
            assert saga.step.undone


def test_a_new_loco_may_come_at_any_moment() -> None:
    for saga in all_sagas():
        if saga.phase is not Phase.ENDED:
            assert advance(saga, E.INTERRUPTED).phase in {Phase.READY, Phase.UNSURE, Phase.PARKED}


def test_every_move_of_the_table_can_happen() -> None:
    seen = set()
    for saga in all_sagas():
        for event in SagaEvent:
            try:
                advance(saga, event)
            except IllegalMove:
                continue
            seen.add((saga.direction, saga.phase, event))
    assert seen == set(MOVES)

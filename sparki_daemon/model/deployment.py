"""A deployment's states and steps, and the one function that says what comes next: a saga, replayed from its journal after any death."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

from sparki_daemon.model.dataclass import dataclass, replace
from sparki_daemon.model.job import IllegalMove


class DeploymentState(StrEnum):
    """Where a deployment is; these are the public words. Source: the public interface, "Deployment statuses"."""

    QUEUED = "queued"
    WAITING = "waiting"  # for an approval, the end of a freeze, another environment, or its turn at the target
    RUNNING = "running"
    LIVE = "live"
    FAILED = "failed"  # the old release serves
    REVERTED = "reverted"  # it had served, and the old one serves again
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"  # a person must look; it keeps its target

    @property
    def terminal(self) -> bool:
        """It needs nobody any more. An unknown one does."""
        return self in TERMINAL


TERMINAL = frozenset({DeploymentState.LIVE, DeploymentState.FAILED, DeploymentState.REVERTED, DeploymentState.CANCELLED})


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRule:
    """One step of every deployment: what it does in words, and what may be done after a death in the middle of it."""

    name: str
    does: str
    repeatable: bool  # doing it twice is as doing it once; else what it has done is looked at first
    undone: str = ""  # how it is taken back, in words; empty: there is nothing to take back
    final: bool = False  # traffic stays where it is whatever happens from here on


STEPS: tuple[StepRule, ...] = (
    StepRule(name="lock", does="take the target", repeatable=True, undone="let the target go"),
    StepRule(name="prepare", does="check what the release needs", repeatable=True),
    StepRule(name="ship", does="bring the artifact to the target", repeatable=True, undone="take the artifact away"),
    StepRule(name="release_command", does="run the release command", repeatable=False),
    StepRule(name="start", does="start the new release", repeatable=False, undone="stop the new release"),
    StepRule(name="health", does="wait until the new release is healthy", repeatable=True),
    StepRule(name="switch", does="move traffic to the new release", repeatable=False, undone="move traffic back"),
    StepRule(name="watch", does="watch the new release under traffic", repeatable=True),
    StepRule(name="retire", does="retire the old release", repeatable=True, final=True),
    StepRule(name="done", does="let the target go", repeatable=True, final=True),
)
INDEX: Mapping[str, int] = {rule.name: index for index, rule in enumerate(STEPS)}
SWITCH = INDEX["switch"]
WATCH = INDEX["watch"]


class Phase(StrEnum):
    """What is known of the step at hand."""

    READY = "ready"  # it has not begun
    DOING = "doing"  # somebody said that they begin it
    UNSURE = "unsure"  # whoever began it is gone: it must be looked at
    PARKED = "parked"  # looked at in vain: a person must say
    ENDED = "ended"


class Direction(StrEnum):
    FORWARD = "forward"
    BACK = "back"  # steps are undone, the last first


class SagaEvent(StrEnum):
    """What may happen to a saga. The journal has each as an event of the deployment, before (begun) and after (the rest)."""

    BEGUN = "begun"
    DONE = "done"
    FAILED = "failed"
    INTERRUPTED = "interrupted"  # a new loco has claimed it
    SEEN_DONE = "seen_done"
    SEEN_ABSENT = "seen_absent"
    SEEN_UNCLEAR = "seen_unclear"
    CANCELLED = "cancelled"  # a person asked, and whatever was going on has been stopped
    KEPT = "kept"  # cancelled after the switch, and the new release is to stay: no more watching
    ROLLED_BACK = "rolled_back"  # in its watch a rollback asked for what served before it, which is still warm
    RESOLVED_LIVE = "resolved_live"
    RESOLVED_FAILED = "resolved_failed"
    RESOLVED_RETRY = "resolved_retry"


@dataclass(frozen=True, slots=True)
class Saga:
    """How far a deployment is. `Saga()` is one that nobody has begun."""

    at: int = 0  # index in STEPS
    direction: Direction = Direction.FORWARD
    phase: Phase = Phase.READY
    cut: bool = False  # traffic was, or may have been, moved to the new release
    cancelled: bool = False
    state: DeploymentState = DeploymentState.RUNNING

    @property
    def step(self) -> StepRule:
        return STEPS[self.at]


_F, _B = Direction.FORWARD, Direction.BACK
_Key = tuple[Direction, Phase, SagaEvent]

# (direction, phase, event) → (direction, phase, how far to move). What the numbers can't say stands in `advance`.
MOVES: Mapping[_Key, tuple[Direction, Phase, int]] = {
    (_F, Phase.READY, SagaEvent.BEGUN): (_F, Phase.DOING, 0),
    (_F, Phase.DOING, SagaEvent.DONE): (_F, Phase.READY, 1),
    (_F, Phase.DOING, SagaEvent.FAILED): (_B, Phase.READY, 0),  # what it did half is undone with it
    (_F, Phase.DOING, SagaEvent.INTERRUPTED): (_F, Phase.UNSURE, 0),
    (_F, Phase.READY, SagaEvent.INTERRUPTED): (_F, Phase.READY, 0),
    (_F, Phase.UNSURE, SagaEvent.INTERRUPTED): (_F, Phase.UNSURE, 0),
    (_F, Phase.UNSURE, SagaEvent.BEGUN): (_F, Phase.DOING, 0),  # again, of a step that may be repeated
    (_F, Phase.UNSURE, SagaEvent.SEEN_DONE): (_F, Phase.READY, 1),
    (_F, Phase.UNSURE, SagaEvent.SEEN_ABSENT): (_F, Phase.READY, 0),
    (_F, Phase.UNSURE, SagaEvent.SEEN_UNCLEAR): (_F, Phase.PARKED, 0),
    (_F, Phase.UNSURE, SagaEvent.FAILED): (_B, Phase.READY, 0),  # it was seen to have failed
    (_F, Phase.READY, SagaEvent.CANCELLED): (_B, Phase.READY, -1),
    (_F, Phase.DOING, SagaEvent.CANCELLED): (_B, Phase.READY, 0),
    (_F, Phase.UNSURE, SagaEvent.CANCELLED): (_B, Phase.READY, 0),
    (_F, Phase.READY, SagaEvent.KEPT): (_F, Phase.READY, 0),
    (_F, Phase.DOING, SagaEvent.KEPT): (_F, Phase.READY, 1),
    (_F, Phase.UNSURE, SagaEvent.KEPT): (_F, Phase.READY, 1),
    (_F, Phase.READY, SagaEvent.ROLLED_BACK): (_B, Phase.READY, -1),
    (_F, Phase.DOING, SagaEvent.ROLLED_BACK): (_B, Phase.READY, 0),
    (_F, Phase.UNSURE, SagaEvent.ROLLED_BACK): (_B, Phase.READY, 0),
    (_B, Phase.READY, SagaEvent.BEGUN): (_B, Phase.DOING, 0),
    (_B, Phase.DOING, SagaEvent.DONE): (_B, Phase.READY, -1),
    (_B, Phase.DOING, SagaEvent.FAILED): (_B, Phase.PARKED, 0),
    (_B, Phase.DOING, SagaEvent.INTERRUPTED): (_B, Phase.READY, 0),  # undoing twice is as undoing once
    (_B, Phase.READY, SagaEvent.INTERRUPTED): (_B, Phase.READY, 0),
    **{
        (direction, Phase.PARKED, event): (direction, phase, 0)
        for direction in Direction
        for event, phase in (
            (SagaEvent.RESOLVED_LIVE, Phase.ENDED),
            (SagaEvent.RESOLVED_FAILED, Phase.ENDED),
            (SagaEvent.RESOLVED_RETRY, Phase.UNSURE if direction is Direction.FORWARD else Phase.READY),
            (SagaEvent.INTERRUPTED, Phase.PARKED),
        )
    },
}
_ENDS = {SagaEvent.RESOLVED_LIVE: DeploymentState.LIVE, SagaEvent.RESOLVED_FAILED: DeploymentState.FAILED}


def advance(saga: Saga, event: SagaEvent) -> Saga:
    """How far the saga is after `event`. Raises IllegalMove for what can't happen to it."""
    direction, phase, by = _move(saga, event)
    at = WATCH + 1 if event is SagaEvent.KEPT else saga.at + by
    while direction is _B and at >= 0 and not STEPS[at].undone:  # nothing to take back
        at -= 1
    cut = _cut(saga, event)
    moved = replace(saga, direction=direction, phase=phase, cut=cut, cancelled=saga.cancelled or event is SagaEvent.CANCELLED)
    if phase is Phase.PARKED:
        return replace(moved, state=DeploymentState.UNKNOWN)
    if phase is Phase.ENDED:
        return replace(moved, state=_ENDS[event])
    if at == len(STEPS):
        return replace(moved, phase=Phase.ENDED, state=DeploymentState.LIVE)
    if at < 0:
        return replace(moved, at=0, phase=Phase.ENDED, state=_back_at_the_start(moved))
    return replace(moved, at=at, state=DeploymentState.RUNNING)


def _move(saga: Saga, event: SagaEvent) -> tuple[Direction, Phase, int]:
    found = MOVES.get((saga.direction, saga.phase, event))
    too_early = event is SagaEvent.KEPT and saga.at < WATCH  # the new release has no traffic yet
    unwatched = event is SagaEvent.ROLLED_BACK and saga.at != WATCH
    unlooked = event is SagaEvent.BEGUN and saga.phase is Phase.UNSURE and not saga.step.repeatable
    if found is None or too_early or unwatched or unlooked:
        raise IllegalMove(f"the deployment's step '{saga.step.name}'", f"{saga.phase} ({saga.direction})", event)
    if saga.step.final and saga.direction is _F and found[0] is _B:  # nothing after the watch takes the traffic back
        return _F, Phase.READY, int(event is SagaEvent.FAILED)
    return found


def _cut(saga: Saga, event: SagaEvent) -> bool:
    """Whether traffic may have been moved to the new release."""
    if saga.at == SWITCH and saga.direction is _F:
        return event in (SagaEvent.BEGUN, SagaEvent.SEEN_DONE) or (saga.cut and event is not SagaEvent.SEEN_ABSENT)
    return saga.cut


def _back_at_the_start(saga: Saga) -> DeploymentState:
    if saga.cancelled:
        return DeploymentState.CANCELLED
    return DeploymentState.REVERTED if saga.cut else DeploymentState.FAILED


def replay(events: Iterable[SagaEvent]) -> Saga:
    """The saga that its journal tells of. Raises IllegalMove where the journal can't be one."""
    saga = Saga()
    for event in events:
        saga = advance(saga, event)
    return saga


class Act(StrEnum):
    """What whoever has claimed a deployment is to do next."""

    DO = "do"
    LOOK = "look"
    UNDO = "undo"
    WAIT = "wait"  # for a person
    END = "end"


def next_act(saga: Saga) -> Act:
    """What to do next about the step at hand: pure, so that a new loco decides as the one before it did."""
    if saga.phase is Phase.ENDED:
        return Act.END
    if saga.phase is Phase.PARKED:
        return Act.WAIT
    if saga.direction is Direction.BACK:
        return Act.UNDO
    return Act.LOOK if saga.phase is Phase.UNSURE and not saga.step.repeatable else Act.DO

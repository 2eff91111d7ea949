"""What a request asks for beside its folder, checked as far as that can be done alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sparki_daemon.model.dataclass import dataclass, field
from sparki_daemon.model.problem import Problem, SparkiError
from sparki_daemon.pipeline.events import EVENT_KINDS
from sparki_daemon.pipeline.spelling import did_you_mean
from sparki_daemon.pipeline.triggers import DISPATCH

MADE_UP = ("push", "pull_request", "pull_request_target", DISPATCH, "schedule", "release")
"""The events whose payload can be made up from local git."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """`event` "": the one that fits. `workspace` "": as the dialect has it. `payload`: laid over what is made up.

    Texts of `inputs`, `variables` and `env` by name.
    """

    pipelines: Sequence[str] = ()
    jobs: Sequence[str] = ()
    matrix: Sequence[tuple[str, str]] = ()
    event: str = ""
    payload: Mapping[str, Any] | None = None
    inputs: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    workspace: str = ""

    def checked_event(self) -> str:
        """The event that is asked for: inputs belong to a `workflow_dispatch`; empty: none is.

        Raises SparkiError: `no_such_event`, `event_needs_payload`, `inputs_need_dispatch`.
        """
        event = self.event or (DISPATCH if self.inputs else "")
        if event and event not in EVENT_KINDS:
            hint = did_you_mean(event, EVENT_KINDS) or f"those that Sparki can make up: {', '.join(MADE_UP)}"
            raise SparkiError(Problem(code="no_such_event", message=f"GitHub has no event '{event}'", hint=hint))
        if event and event not in MADE_UP and self.payload is None:
            message = f"Sparki can't make up what a '{event}' says"
            raise SparkiError(Problem(code="event_needs_payload", message=message, hint="give its payload: --event-file FILE"))
        if self.inputs and event != DISPATCH:
            message = f"a '{event}' has no inputs"
            raise SparkiError(Problem(code="inputs_need_dispatch", message=message, hint=f"--input goes with --event {DISPATCH}"))
        return event

    def dispatch_inputs(self) -> dict[str, str]:
        """The texts of inputs: those of the payload, and over them those given one by one."""
        said = (self.payload or {}).get("inputs")
        texts = {str(name): _text(value) for name, value in said.items()} if isinstance(said, Mapping) else {}
        return {**texts, **self.inputs}


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)

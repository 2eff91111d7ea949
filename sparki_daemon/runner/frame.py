"""Where a step stands: among a job's own steps, or within a composite action."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from sparki_daemon.model.plan import StepPlan, Template
from sparki_daemon.runner.scope import JobScope

MOST_DEPTH = 10  # composite actions within each other. Source: GITHUB.md §3


class Frame:
    """What the steps of one list share, beside what all of the job share."""

    def __init__(
        self,
        scope: JobScope,
        steps: Sequence[StepPlan],
        *,
        shell: Template | None = None,
        working_directory: Template | None = None,
        outer: Frame | None = None,
        env: Mapping[str, str] | None = None,
        folder: str = "",
        action: str = "",
    ) -> None:
        self.scope = scope
        self.steps = steps
        self.shell = shell
        self.working_directory = working_directory
        self.env = env or {}  # what the steps around these set over the job's own variables
        self.folder = folder  # of the action; empty for a job's own steps
        self.depth: int = outer.depth + 1 if outer else 0
        self.folders: tuple[str, ...] = (*outer.folders, folder) if outer else ()
        self._action = action
        self._names: list[str] = []

    def action_name(self, plan: StepPlan) -> str:
        """What GITHUB_ACTION is in a step: its id, else `__run`, `__run_2`, `__actions_checkout`; after that of the step around it."""
        if not self._names:
            seen: Counter[str] = Counter()
            for step in self.steps:
                kind = "__" + (step.uses.partition("@")[0].replace("/", "_").replace(".", "") if step.uses else "run")
                seen[kind] += not step.id
                self._names.append(step.id or (kind if seen[kind] == 1 else f"{kind}_{seen[kind]}"))
        own = self._names[plan.index]
        return f"{self._action}_{own}" if self._action else own

"""What a project wants of Sparki that its pipeline files don't say: `sparki.yml`, which most have not."""

# ruff: noqa: PLC0415  # reading the file takes a part of the language that no run without one needs

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sparki_daemon.model.dataclass import dataclass, field
from sparki_daemon.model.problem import Position
from sparki_daemon.pipeline.caching import Declared

if TYPE_CHECKING:
    from sparki_daemon.pipeline.environments import Deploying

FILE = "sparki.yml"
CACHE_BYTES = 5 << 30  # what a project's cached jobs may take, where its file says nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """A project's settings, with the defaults of those that its file leaves out."""

    project: str = ""
    silence: frozenset[str] = frozenset()
    home: str = "job"
    retention: dict[str, float] = field(default_factory=dict)  # runs_s, artifacts_s, logs_bytes: those that the file has
    told: Deploying | None = None  # what the file says of deploying
    caches: Mapping[str, Mapping[str, Declared]] = field(default_factory=dict)  # by the stem of a pipeline's file, then by job
    junit: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # patterns of test reports, by the stem of a pipeline's file
    stems: Mapping[str, Position] = field(default_factory=dict)  # the pipelines that are named, and where
    cache_bytes: int = CACHE_BYTES

    @property
    def deploying(self) -> Deploying:
        """What is deployed where."""
        from sparki_daemon.pipeline.environments import Deploying

        return self.told or Deploying()


def read_settings(data: bytes | None, file: str = FILE) -> Settings:
    """The settings that a file holds; None: there is no file.

    Raises SparkiError with every mistake and its place; an unknown key has a suggestion.
    """
    if data is None:
        return Settings()
    from sparki_daemon.pipeline.settings_file import read

    return read(data, file)

"""Which files of a source a job's declared inputs are. Pure: the source is a sorted list of its files with their digests."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence

from sparki_daemon.model.dataclass import dataclass, field
from sparki_daemon.pipeline.globs import compiled

_SPECIAL = frozenset("*?+[]\\!")


@dataclass(frozen=True, slots=True)
class SourceFiles:
    """Every file of a tree: path → mode and blob, as git names them. Its paths are sorted."""

    tree: str
    digests: Mapping[str, str]
    paths: Sequence[str] = field(default=())

    @staticmethod
    def of(tree: str, digests: Mapping[str, str]) -> SourceFiles:
        return SourceFiles(tree, digests, sorted(digests))

    def matching(self, patterns: Iterable[str]) -> dict[str, str]:
        """The files that pass a list of patterns, with their digests: the last pattern that fits decides, one with `!` against.

        A pattern that names a folder means all in it. Whatever stands before the first special character is looked up, not tried on
        each file: two hundred jobs with a folder each cost no more than one.
        """
        found: dict[str, str] = {}
        for pattern in patterns:
            for path in self._fitting(pattern.removeprefix("!")):
                if pattern.startswith("!"):
                    found.pop(path, None)
                else:
                    found[path] = self.digests[path]
        return found

    def _fitting(self, pattern: str) -> Iterable[str]:
        pattern = pattern.removeprefix("./").rstrip("/")
        end = next((index for index, char in enumerate(pattern) if char in _SPECIAL), len(pattern))
        if end == len(pattern):
            return [path for path in self._beginning_with(pattern) if path == pattern or path.startswith(f"{pattern}/")]
        if pattern[end] in "?+":
            end -= 1  # it makes the character before it optional, or repeats it
        fixed, rest = pattern[: max(end, 0)], pattern[max(end, 0) :]
        candidates = self._beginning_with(fixed)
        if rest in {"**", "**/*"} and (not fixed or fixed.endswith("/")):
            return candidates
        fits = compiled(pattern).fullmatch
        return [path for path in candidates if fits(path)]

    def _beginning_with(self, prefix: str) -> Sequence[str]:
        if not prefix:
            return self.paths
        return self.paths[bisect_left(self.paths, prefix) : bisect_left(self.paths, f"{prefix}\U0010ffff")]

"""Reads a `sparki.yml`."""

from __future__ import annotations

from collections.abc import Iterator

from sparki_daemon.model.problem import Position, Problem, SparkiError
from sparki_daemon.pipeline import environment_keys, environments
from sparki_daemon.pipeline.amounts import seconds, size_bytes
from sparki_daemon.pipeline.caching import CACHE, Declared, cache_of, leading_out, pattern_problems, texts_of
from sparki_daemon.pipeline.codes import CODES
from sparki_daemon.pipeline.environments import Environment
from sparki_daemon.pipeline.reports import REPORTS
from sparki_daemon.pipeline.schema import Key, ListOf, MapOf, Record, Text
from sparki_daemon.pipeline.settings import CACHE_BYTES, Settings
from sparki_daemon.pipeline.shape import Shape
from sparki_daemon.pipeline.yaml_node import MappingNode, Node, ScalarNode, SequenceNode, SourceText
from sparki_daemon.pipeline.yaml_reader import load

_PIPELINE = Record(
    keys={
        "cache": Key(MapOf(value=CACHE, each="job"), "Which jobs may come from the cache, by id."),
        "junit": Key(REPORTS, "Patterns of the test reports that its jobs write, as JUnit XML, relative to the workspace."),
    }
)
_NOWHERE = Position("", 0, 0)

SETTINGS = Record(
    keys={
        "project": Key(Text(nonempty=True), "What the project is called."),
        "silence": Key(ListOf(item=Text(choices=tuple(CODES))), "The codes of differences that this project accepts."),
        "home": Key(Text(choices=("job", "user")), "Whose HOME a job has: one of its own, or the user's."),
        "retention": Key(
            Record(
                keys={
                    "runs": Key(Text(nonempty=True), "How long runs are kept, such as 90d."),
                    "logs": Key(Text(nonempty=True), "How much room logs may take, such as 5 GiB; the oldest go."),
                    "artifacts": Key(Text(nonempty=True), "How long artifacts are kept, such as 30d."),
                }
            ),
            "How long what runs leave is kept.",
        ),
        **environment_keys.KEYS,
        "pipelines": Key(MapOf(value=_PIPELINE, each="pipeline"), "What GitHub's files do not say, by the stem of the file."),
        "cache": Key(
            Record(keys={"max_size": Key(Text(nonempty=True), "How much cached jobs may take: 512 MiB, 5 GiB.")}), "The job cache."
        ),
    }
)


def read(data: bytes, file: str) -> Settings:
    """As `settings.read_settings`, of a file that is there."""
    root = _root(data, file)
    if root is None:
        return Settings()
    deploying, kept, problems = _looked(root, file)
    if problems:
        raise SparkiError(*problems)
    assert isinstance(root, MappingNode)  # another was told
    silence = root.get("silence")
    codes = (item.text for item in silence.items if isinstance(item, ScalarNode)) if isinstance(silence, SequenceNode) else ()
    stems = _mapping(root.get("pipelines"))
    return Settings(
        project=_text(root, "project"),
        silence=frozenset(codes),
        home=_text(root, "home") or "job",
        caches={stem.text: dict(_declared(pipeline, file)) for stem, pipeline in stems},
        junit={stem.text: texts_of(pipeline.get("junit")) for stem, pipeline in stems if isinstance(pipeline, MappingNode)},
        stems={stem.text: Position(file, stem.line, stem.column) for stem, _ in stems},
        cache_bytes=_max_size(root)[1],
        retention=kept,
        told=deploying if deploying != environments.Deploying() else None,
    )


def sound_environments(data: bytes, file: str) -> list[Environment]:
    """Those in which every value is right, of a file that may be wrong elsewhere; a key that nobody knows spoils none.

    Raises SparkiError for what is no YAML.
    """
    root = _root(data, file)
    if root is None:
        return []
    deploying, _, problems = _looked(root, file)
    wrong = {problem.at.line for problem in problems if problem.at and problem.code != "unknown_key"}
    return [one for one in deploying.environments.values() if wrong.isdisjoint(one.lines)]


def _looked(root: Node, file: str) -> tuple[environments.Deploying, dict[str, float], list[Problem]]:
    """What a file says of deploying and of retention, and all that is wrong with it."""
    if not isinstance(root, MappingNode):
        raise SparkiError(Problem(code="wrong_type", message=f"{file} is a mapping of settings", at=Position(file, root.line, root.column)))
    shape = Shape(file, SourceText(""))
    shape.check(root, SETTINGS, file)
    problems = list(_problems(root, file))
    retention = root.get("retention")
    kept = dict(_retention(retention, file, problems)) if isinstance(retention, MappingNode) else {}
    deploying = environments.read_deploying(root, file, problems)
    told = {problem.at for problem in shape.problems}  # of a value of the wrong kind there is no more to say
    found = [*shape.problems, *(problem for problem in problems if problem.at not in told)]
    return deploying, kept, sorted(found, key=lambda problem: problem.at or _NOWHERE)


def _mapping(node: Node | None) -> list[tuple[ScalarNode, Node]]:
    return node.pairs if isinstance(node, MappingNode) else []


def _declared(pipeline: Node, file: str) -> Iterator[tuple[str, Declared]]:
    for key, node in _mapping(pipeline.get("cache") if isinstance(pipeline, MappingNode) else None):
        if (cache := cache_of(node)) is not None:
            yield key.text, Declared(cache, Position(file, key.line, key.column))


def _max_size(root: MappingNode) -> tuple[ScalarNode | None, int]:
    """The size that the file gives the cache, and where; -1 for one that is none."""
    cache = root.get("cache")
    node = cache.get("max_size") if isinstance(cache, MappingNode) else None
    if not isinstance(node, ScalarNode):
        return None, CACHE_BYTES
    size = size_bytes(node.text)
    return node, -1 if size is None else size


def _problems(root: MappingNode, file: str) -> Iterator[Problem]:
    """What is wrong with values beyond their kind."""
    for _, pipeline in _mapping(root.get("pipelines")):
        for _, node in _mapping(pipeline.get("cache") if isinstance(pipeline, MappingNode) else None):
            yield from pattern_problems(node, file)
        yield from leading_out(pipeline.get("junit") if isinstance(pipeline, MappingNode) else None, file)
    size, limit = _max_size(root)
    if size is not None and limit < 0 and size.text:
        at = Position(file, size.line, size.column)
        yield Problem(code="wrong_value", message=f"'max_size' must be a size, not '{size.text}'", at=at, hint="write 512 MiB or 5 GiB")


def _retention(node: MappingNode, file: str, problems: list[Problem]) -> Iterator[tuple[str, float]]:
    """How much of each kind is kept; what is no time or size goes to `problems`."""
    for key, value in node.pairs:
        text = value.text if isinstance(value, ScalarNode) else ""
        is_size = key.text == "logs"
        amount = size_bytes(text) if is_size else seconds(text)
        if amount is None:
            example = "a size, such as 512 MiB or 5 GiB" if is_size else "a time, such as 12h or 90d"
            at = Position(file, value.line, value.column)
            problems.append(Problem(code="bad_amount", message=f"'{key.text}' must be {example}, not '{text}'", at=at))
        else:
            yield f"{key.text}_{'bytes' if is_size else 's'}", amount


def _root(data: bytes, file: str) -> Node | None:
    try:
        return load(data, file)[0]
    except SparkiError as error:
        if [problem.code for problem in error.problems] == ["empty_file"]:
            return None
        raise


def _text(root: MappingNode, key: str) -> str:
    node = root.get(key)
    return node.text if isinstance(node, ScalarNode) else ""

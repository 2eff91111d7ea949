"""Read `sparki.yml`: what a project wants of Sparki that its pipeline files don't say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from sparki_daemon.model.problem import Position, Problem, SparkiError
from sparki_daemon.pipeline import environments
from sparki_daemon.pipeline.amounts import seconds, size_bytes
from sparki_daemon.pipeline.codes import CODES
from sparki_daemon.pipeline.schema import Key, ListOf, Record, Text
from sparki_daemon.pipeline.shape import Shape
from sparki_daemon.pipeline.yaml_node import MappingNode, Node, ScalarNode, SequenceNode, SourceText
from sparki_daemon.pipeline.yaml_reader import load

FILE = "sparki.yml"

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
        **environments.KEYS,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """A project's settings, with the defaults of those that its file leaves out."""

    project: str = ""
    silence: frozenset[str] = frozenset()
    home: str = "job"
    retention: dict[str, float] = field(default_factory=dict)  # runs_s, artifacts_s, logs_bytes: those that the file has
    deploying: environments.Deploying = field(default_factory=environments.Deploying)


def read_settings(data: bytes | None, file: str = FILE) -> Settings:
    """The settings that a file holds; None: there is no file.

    Raises SparkiError with every mistake and its place; an unknown key has a suggestion.
    """
    root = _root(data or b"", file)
    if root is None:
        return Settings()
    if not isinstance(root, MappingNode):
        raise SparkiError(Problem(code="wrong_type", message=f"{file} is a mapping of settings", at=Position(file, root.line, root.column)))
    shape = Shape(file, SourceText(""))
    shape.check(root, SETTINGS, file)
    if shape.problems:
        raise SparkiError(*shape.problems)
    retention = root.get("retention")
    problems: list[Problem] = []
    kept = dict(_retention(retention, file, problems)) if isinstance(retention, MappingNode) else {}
    deploying = environments.read_deploying(root, file, problems)
    if problems:
        raise SparkiError(*problems)
    silence = root.get("silence")
    codes = (item.text for item in silence.items if isinstance(item, ScalarNode)) if isinstance(silence, SequenceNode) else ()
    return Settings(
        project=_text(root, "project"), silence=frozenset(codes), home=_text(root, "home") or "job", retention=kept, deploying=deploying
    )


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

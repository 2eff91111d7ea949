"""Read `sparki.yml`: what a project wants of Sparki that its pipeline files don't say."""

from __future__ import annotations

from dataclasses import dataclass

from sparki_daemon.model.problem import Position, Problem, SparkiError
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
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """A project's settings, with the defaults of those that its file leaves out."""

    project: str = ""
    silence: frozenset[str] = frozenset()
    home: str = "job"


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
    silence = root.get("silence")
    codes = (item.text for item in silence.items if isinstance(item, ScalarNode)) if isinstance(silence, SequenceNode) else ()
    return Settings(project=_text(root, "project"), silence=frozenset(codes), home=_text(root, "home") or "job")


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

"""Read a workflow file: YAML, shape, expressions and rules, with every problem of the file told at once."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from itertools import islice

from sparki_daemon.model.dataclass import replace
from sparki_daemon.model.problem import Position, Problem, SparkiError
from sparki_daemon.pipeline.dialect import dialect_of
from sparki_daemon.pipeline.document import Builder, Document
from sparki_daemon.pipeline.expression.evaluate import Scope
from sparki_daemon.pipeline.expression.references import references
from sparki_daemon.pipeline.keys import language
from sparki_daemon.pipeline.names import gap_warnings, name_warnings
from sparki_daemon.pipeline.needs import graph_problems
from sparki_daemon.pipeline.rules import empty_reads, rule_problems
from sparki_daemon.pipeline.schema import Dialect
from sparki_daemon.pipeline.shape import Shape
from sparki_daemon.pipeline.strategy import is_static, strategy_of
from sparki_daemon.pipeline.yaml_node import MappingNode, Node, ScalarNode, SequenceNode, SourceText
from sparki_daemon.pipeline.yaml_reader import load_with_problems

MAX_PROBLEMS = 100
UNSUPPORTED = "unsupported_"
"""How the codes begin of what GitHub accepts and Sparki can't run."""


def read(data: bytes, file: str, dialect: Dialect | None = None) -> Document:
    """The document that a workflow file says; `file` is its path in the repository, for positions.

    `dialect` None: the one that its folder says.

    What Sparki can't run is no error here: `Document.unsupported` has it, and `plan` refuses it.
    Raises SparkiError with all that GitHub would refuse, in file order, 100 at most and then how many more.
    """
    document, errors = look(data, file, dialect)
    if errors:
        raise SparkiError(*errors)
    return document


def look(data: bytes, file: str, dialect: Dialect | None = None) -> tuple[Document, tuple[Problem, ...]]:
    """As `read`, with the errors beside the document; of a file with errors the document is good for its `warnings` only.

    Raises SparkiError for what is no YAML, or no mapping.
    """
    dialect = dialect or dialect_of(file)
    root, text, repeated = load_with_problems(data, file)
    source = SourceText(text)
    if not isinstance(root, MappingNode):
        message = "a workflow is a mapping of keys such as 'on' and 'jobs'"
        raise SparkiError(*repeated, Problem(code="wrong_type", message=message, at=Position(file, root.line, root.column)))
    shape = Shape(file, source)
    shape.check(root, language(dialect), "the workflow")
    told = {problem.at for problem in repeated}  # `Name` after `name` is that key again, and no unknown one
    builder = Builder(file, dialect)
    document = builder.document(root)
    problems = [
        *repeated,
        *(problem for problem in shape.problems if problem.code != "unknown_key" or problem.at not in told),
        *builder.problems,
        *rule_problems(document, root.get("jobs")),
        *graph_problems(document.jobs),
    ]
    problems += _strategy_problems(document, {(at.line, at.column) for problem in _errors(shape.problems) if (at := problem.at)})
    errors = tuple(_capped(_in_order(_errors(problems))))
    unsupported = tuple(_in_order(problem for problem in problems if problem.code.startswith(UNSUPPORTED)))
    document = replace(document, text=text, unsupported=unsupported)
    return _with_warnings(document, root, shape, source, {problem.at for problem in errors}), errors


def _with_warnings(document: Document, root: MappingNode, shape: Shape, source: SourceText, told: Collection[Position | None]) -> Document:
    """The document with what is to be warned of and what reads secrets; nothing at the places that are `told` already."""

    def locate(scalar: ScalarNode, offset: int) -> Position:
        return Position(document.file, *source.place(scalar, offset))

    uses = {scalar: tuple(use for tree in trees for use in references(tree)) for scalar, trees in shape.expressions.items()}
    found = (problem for problem in name_warnings(document, root, uses, locate) if problem.at not in told)
    warnings = [*islice(found, MAX_PROBLEMS), *gap_warnings(root, document.text, document.file)]
    return replace(document, warnings=tuple(_in_order(warnings)), reads=tuple(empty_reads(root, uses, locate)))


def _strategy_problems(document: Document, misshapen: Collection[tuple[int, int]]) -> Iterator[Problem]:
    """What is wrong with the strategies that hold no expression, and nothing `misshapen` (line and column): those can't be computed."""
    for job in document.jobs:
        if is_static(job.strategy) and not any(place in misshapen for place in _places(job.strategy)):
            try:
                strategy_of(job.strategy, document.file, Scope({}))
            except SparkiError as error:
                yield from error.problems


def _places(node: Node | None) -> Iterator[tuple[int, int]]:
    """Where a node stands, and all within it, keys too; what an alias brings stands at its anchor."""
    if node is None:
        return
    yield node.line, node.column
    if isinstance(node, SequenceNode):
        for item in node.items:
            yield from _places(item)
    elif isinstance(node, MappingNode):
        for key, value in (*node.pairs, *node.repeated):
            yield key.line, key.column
            yield from _places(value)


def _errors(problems: Iterable[Problem]) -> list[Problem]:
    return [problem for problem in problems if not problem.code.startswith(UNSUPPORTED)]


def _in_order(problems: Iterable[Problem]) -> list[Problem]:
    """In file order, each once: an alias lets the same value be met twice."""
    return sorted(dict.fromkeys(problems), key=lambda problem: (problem.at is None, problem.at))


def _capped(problems: list[Problem]) -> list[Problem]:
    if len(problems) <= MAX_PROBLEMS:
        return problems
    more = len(problems) - MAX_PROBLEMS
    return [*problems[:MAX_PROBLEMS], Problem(code="more_problems", message=f"and {more} more", at=problems[MAX_PROBLEMS].at)]

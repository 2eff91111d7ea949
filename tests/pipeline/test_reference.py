"""What is generated from the tables: the schema for editors, and the reference pages; the files in docs/ are up to date."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from sparki_daemon.model.problem import SparkiError
from sparki_daemon.pipeline.actions import NATIVE
from sparki_daemon.pipeline.codes import CODES
from sparki_daemon.pipeline.json_schema import settings_schema, workflow_schema
from sparki_daemon.pipeline.keys import LANGUAGE
from sparki_daemon.pipeline.reader import read
from sparki_daemon.pipeline.reference import differences_page, language_page
from sparki_daemon.pipeline.schema import Dialect
from sparki_daemon.pipeline.yaml_node import MappingNode, Node, ScalarNode, SequenceNode
from sparki_daemon.pipeline.yaml_reader import load

DOCS = Path(__file__).parents[2] / "docs"
GOLDEN = Path(__file__).parent.parent / "golden" / "pipeline"
Check = Callable[[Path, str], None]


def test_the_schema_in_docs_is_the_tables(golden: Check) -> None:
    golden(DOCS / "workflow.schema.json", json.dumps(workflow_schema(), indent=1) + "\n")
    golden(DOCS / "pipeline.schema.json", json.dumps(workflow_schema(Dialect.SPARKI), indent=1) + "\n")
    golden(DOCS / "sparki.schema.json", json.dumps(settings_schema(), indent=1) + "\n")


def test_the_schema_of_settings_takes_what_the_interface_shows_and_refuses_what_it_does_not() -> None:
    validator = jsonschema_rs.validator_for(settings_schema())
    good = {
        "environments": {
            "staging": {"adapter": "process", "command": "serve", "variables": {"A": "b"}, "approvals": {"count": 1}, "own_key": 1},
        },
        "branches": {"main": {"run": ["ci"], "deploy": "staging"}},
        "notify": [{"on": ["failure"], "command": "beep"}],
    }

    assert list(validator.iter_errors(good)) == []
    assert not validator.is_valid({"environmants": {}})
    assert not validator.is_valid({"environments": {"staging": {"command": "no adapter"}}})
    assert not validator.is_valid({"environments": {"staging": {"adapter": "process", "strategy": "hope"}}})


def test_the_reference_pages_in_docs_are_the_tables(golden: Check) -> None:
    golden(DOCS / "language.md", language_page())
    golden(DOCS / "differences.md", differences_page())


def test_the_reference_has_every_key_code_and_action() -> None:
    page = language_page()

    assert [name for name in LANGUAGE.keys if f"| `{name}` |" not in page] == []
    assert [
        name
        for name in ("cron", "fail-fast", "timeout-minutes", "run", "uses", "image", "cancel-in-progress")
        if f"| `{name}` |" not in page
    ] == []
    assert [name for name in NATIVE if f"| `{name}` |" not in page] == []
    assert [code for code in CODES if f"## {code}: " not in differences_page()] == []


def test_every_row_of_the_reference_has_as_many_cells_as_its_table() -> None:
    cells = 0
    for line in language_page().split("\n"):
        if line.startswith("| ---"):
            cells = line.count("|")
        elif line.startswith("|") and cells:
            assert line.count("|") == cells, line
        else:
            cells = 0


def value(node: Node) -> Any:
    if isinstance(node, ScalarNode):
        return node.value
    if isinstance(node, SequenceNode):
        return [value(item) for item in node.items]
    assert isinstance(node, MappingNode)
    return {key.text: value(item) for key, item in node.pairs}


def fits(data: Any, schema: dict[str, Any]) -> bool:
    """Whether a value is what the schema says: all of draft-07 that the schema uses."""
    names = {"object": dict, "array": list, "string": str, "number": (int, float), "boolean": bool, "null": type(None)}
    if "anyOf" in schema:
        return any(fits(data, option) for option in schema["anyOf"])
    if "enum" in schema:
        return data in schema["enum"]
    wanted = schema.get("type")
    if wanted is not None:
        kinds = [wanted] if isinstance(wanted, str) else wanted
        if not any(isinstance(data, names[kind]) and not (kind == "number" and isinstance(data, bool)) for kind in kinds):
            return False
    if isinstance(data, str):
        return len(data) >= schema.get("minLength", 0) and re.search(schema.get("pattern", ""), data) is not None
    if isinstance(data, list):
        return all(fits(item, schema.get("items", {})) for item in data)
    if isinstance(data, dict):
        return all(name in data for name in schema.get("required", ())) and all(
            property_fits(name, item, schema) for name, item in data.items()
        )
    return True


def property_fits(name: str, item: Any, schema: dict[str, Any]) -> bool:
    if name in schema.get("properties", {}):
        return fits(item, schema["properties"][name])
    if any(re.search(pattern, name) for pattern in schema.get("patternProperties", {})):
        return True
    rest = schema.get("additionalProperties", True)
    return rest if isinstance(rest, bool) else fits(item, rest)


@pytest.mark.parametrize("case", sorted(GOLDEN.glob("good/*.yml")) + sorted(GOLDEN.glob("refused/*.yml")), ids=lambda case: case.stem)
def test_what_the_reader_takes_the_schema_takes(case: Path) -> None:
    read(case.read_bytes(), case.name)

    assert fits(value(load(case.read_bytes(), case.name)[0]), workflow_schema()) is (case.stem != "computed_records")


@pytest.mark.parametrize(
    "stem", ["unknown_keys", "wrong_types", "call_and_steps", "nothing_required_is_there", "permissions_and_concurrency"]
)
def test_what_is_misshapen_the_schema_refuses_too(stem: str) -> None:
    case = GOLDEN / "bad" / f"{stem}.yml"
    with pytest.raises(SparkiError):
        read(case.read_bytes(), case.name)

    assert not fits(value(load(case.read_bytes(), case.name)[0]), workflow_schema())


def test_what_only_sparkis_files_may_say_its_schema_alone_takes() -> None:
    for text in ("jobs: {a: {steps: [make]}}", "jobs: {a: {deploy: staging}}", "jobs: {a: {steps: [{run: make}]}}"):
        data = value(load(text.encode(), "f")[0])
        read(text.encode(), ".sparki/pipelines/ci.yml")

        assert (fits(data, workflow_schema(Dialect.SPARKI)), fits(data, workflow_schema())) == (True, False), text


def test_the_reference_says_which_keys_are_sparkis_alone() -> None:
    rows = [line for line in language_page().split("\n") if "Only in `.sparki/pipelines`" in line]

    assert [row.split("`")[1] for row in rows if row.startswith("| `deploy`")] == ["deploy"]

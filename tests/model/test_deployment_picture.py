"""The picture of a deployment in docs/ is drawn from the table of its steps."""

from __future__ import annotations

import runpy
import xml.etree.ElementTree as ET
from pathlib import Path

from sparki_daemon.model.deployment import STEPS

DOCS = Path(__file__).parents[2] / "docs"


def test_the_picture_in_docs_is_what_the_table_says() -> None:
    drawn = runpy.run_path(str(DOCS / "draw_deployment.py"))["picture"]()

    assert (DOCS / "deployment.svg").read_text(encoding="utf-8") == drawn, "draw it again: python docs/draw_deployment.py"


def test_every_step_is_in_the_picture_with_its_way_back() -> None:
    texts = [element.text for element in ET.parse(DOCS / "deployment.svg").iter("{http://www.w3.org/2000/svg}text")]

    assert [rule.name for rule in STEPS if rule.name not in texts or rule.does not in texts] == []
    assert [rule.undone for rule in STEPS if rule.undone and rule.undone not in texts] == []

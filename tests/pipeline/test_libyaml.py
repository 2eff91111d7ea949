"""PyYAML without its Python half, and with it afterwards: each in a process of its own, for a package is loaded once."""

from __future__ import annotations

import subprocess
import sys

BOTH = """
import sys
from sparki_daemon.pipeline.libyaml import Parser, errors, events
text = "a: &x [1, 'b', {c: &y e}]\\n# no\\nd: !!str |\\n  e\\nf: *x\\n"

def told(parser):
    marks = []
    while parser.check_event():
        event = parser.get_event()
        marks.append((type(event), event.start_mark.line, event.start_mark.index, event.end_mark.index, getattr(event, "value", None)))
    return marks

lean = told(Parser(text))
"""


def run(script: str) -> str:
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_python_half_stays_away() -> None:
    assert run(BOTH + "print(sorted(name for name in sys.modules if name.partition('.')[0] == 'yaml'))") == (
        "['yaml._yaml', 'yaml.error', 'yaml.events', 'yaml.nodes', 'yaml.tokens']\n"
    )


def test_whoever_loads_the_whole_package_later_gets_it_with_the_same_events() -> None:
    script = """
import yaml
assert yaml.safe_load(text) == yaml.load(text, yaml.CSafeLoader) and yaml.safe_load("a: 2020-01-01")["a"].year == 2020
assert told(yaml.CLoader(text)) == lean and yaml.ScalarEvent is events.ScalarEvent and yaml.dump({"a": [1]}) == "a:\\n- 1\\n"
for wrong in ("a: [", "a: *b", "\\tb: c", "a: b: c"):
    for load in (yaml.safe_load, lambda text: yaml.load(text, yaml.CSafeLoader)):
        try:
            load(wrong)
        except yaml.YAMLError as error:
            assert isinstance(error, yaml.MarkedYAMLError)
        else:
            raise AssertionError(wrong)
print("good")
"""
    assert run(BOTH + script) == "good\n"


def test_where_the_whole_package_is_loaded_already_it_is_used() -> None:
    assert (
        run("import yaml\n" + BOTH + "assert Parser is yaml.CLoader and events.ScalarEvent is yaml.ScalarEvent\nprint(len(lean))") == "19\n"
    )


def test_without_a_c_half_the_whole_is_loaded() -> None:
    without = """
import sys
class Lacking:
    def find_spec(self, name, path=None, target=None):
        if name == "yaml._yaml":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Lacking())
"""
    assert run(without + BOTH + "import yaml\nassert Parser is yaml.Loader\nprint(len(lean))") == "19\n"


def test_where_the_c_half_asks_for_more_than_we_know_of_the_whole_is_loaded() -> None:
    changed = """
import importlib, sys
load = importlib.import_module
def other(name, *rest):
    if name == "yaml._yaml" and "yaml.reader" not in sys.modules:
        raise AttributeError("module 'yaml' has no attribute 'news'")
    return load(name, *rest)
importlib.import_module = other
"""
    assert run(changed + BOTH + "import yaml\nassert Parser is yaml.CLoader\nprint(len(lean))") == "19\n"

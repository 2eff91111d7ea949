"""PyYAML's parser in C and its events, without the Python half of the package.

That half compiles the tables of a second parser and of all that YAML can stand for: 10 ms of each command that reads a pipeline. Its C half
asks the package for three light modules and for the errors of the others. Where that fails, or there is no C half, the whole is loaded.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.machinery import PathFinder
from types import ModuleType, SimpleNamespace
from typing import Any

_LIGHT = ("error", "tokens", "events", "nodes")
# The error that the C half takes from each of the other modules, and what it is one of there.
_ERRORS = {
    "reader": ("ReaderError", "YAMLError"),
    "scanner": ("ScannerError", "MarkedYAMLError"),
    "parser": ("ParserError", "MarkedYAMLError"),
    "composer": ("ComposerError", "MarkedYAMLError"),
    "constructor": ("ConstructorError", "MarkedYAMLError"),
    "emitter": ("EmitterError", "YAMLError"),
    "serializer": ("SerializerError", "YAMLError"),
    "representer": ("RepresenterError", "YAMLError"),
}


class _Face(ModuleType):
    """Stands for the package while its C half is loaded."""

    def __getattr__(self, name: str) -> Any:
        if name in _LIGHT:
            return import_module(f"yaml.{name}")
        if name in _ERRORS:
            error, base = _ERRORS[name]
            return SimpleNamespace(**{error: type(error, (getattr(self.error, base),), {})})
        raise AttributeError(name)


def _parser() -> Any:
    """The class of parsers: `check_event`, `get_event`, `dispose`."""
    found = None if "yaml" in sys.modules else PathFinder.find_spec("yaml")
    if found is not None and found.submodule_search_locations is not None:
        face = _Face("yaml")
        face.__path__ = found.submodule_search_locations
        sys.modules["yaml"] = face
        try:
            return import_module("yaml._yaml").CParser
        except Exception:  # another PyYAML, which asks for more
            for name in [name for name in sys.modules if name.startswith("yaml.")]:
                del sys.modules[name]
        finally:
            del sys.modules["yaml"]  # whoever wants all of it may still load it: it takes up the modules that are there
    import yaml  # noqa: PLC0415  # as the module's text has it

    return getattr(yaml, "CLoader", yaml.Loader)


Parser = _parser()
errors: Any = sys.modules["yaml.error"]
events: Any = sys.modules["yaml.events"]

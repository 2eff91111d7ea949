"""The reference pages, written from the tables: the language's keys (docs/language.md) and the differences (docs/differences.md)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sparki_daemon.pipeline.actions import HONOURED, NATIVE
from sparki_daemon.pipeline.codes import CODES
from sparki_daemon.pipeline.dialect import SPARKI_FOLDER
from sparki_daemon.pipeline.keys import LANGUAGE
from sparki_daemon.pipeline.schema import Dialect, Flag, Key, Kind, ListOf, MapOf, Nothing, Number, OneOf, Place, Record, Text
from sparki_daemon.pipeline.shape import describe

_FEW = 8
_NEEDED = {
    False: "",
    True: " **Required.**",
    Dialect.GITHUB: f" **Required**, but in `{SPARKI_FOLDER}`.",
    Dialect.SPARKI: f" **Required** in `{SPARKI_FOLDER}`.",
}

_HEAD = """# The language

Sparki reads GitHub's workflow syntax from `.github/workflows/*.yml` and `*.yaml`, unchanged. This page is written from the table that the
reader itself uses, as is `workflow.schema.json` beside it, which editors can complete and check with (`sparki validate --schema`
prints it).

## Pipelines of your own

Files in `.sparki/pipelines` (`*.yml` and `*.yaml`) are written in the same language, with less to write:

    jobs:
      test:
        steps:
          - make
          - make test

- A step may be a plain string: the commands to run.
- `on` may be left out: every push and every pull request then starts the pipeline, and so does its name (`sparki run ci`).
- `runs-on` may be left out: the job runs on this machine.
- The source is in place before the first step: no `actions/checkout` is needed. (`--workspace source` does the same for a file of
  GitHub's, `--workspace empty` leaves it away. A job whose first step checks out the source is left as it is.)
- A file here takes the place of the one with the same stem in `.github/workflows`: with both, `sparki run ci` runs
  `.sparki/pipelines/ci.yml`, and so does a `sparki run` that a push's pipelines belong to. The other one still answers to its path.

`sparki validate --schema .sparki/pipelines` prints their schema (`pipeline.schema.json`).

## How to read the tables

- **value**: what may stand there. Numbers and booleans stand where a string is wanted, too.
- **expressions**: the contexts that `${{ }}` may read there, and the functions besides those that always work (`contains`, `startsWith`,
  `endsWith`, `format`, `join`, `toJSON`, `fromJSON`, `case`). Empty: no expression may stand there.
- **since**: the version of Sparki that has it; *no*: Sparki reads it, and refuses to run it, with the reason.
"""

_DIFFERENCES_HEAD = """# What is different here

A run on your machine is not a run on GitHub's. `sparki run --plan` and the head of each run say what will differ, each with a code and its
place in the file; `sparki explain CODE` prints what stands here. A project that accepts one says so in `sparki.yml`:

    silence: [SPK014]
"""

_PACKAGES = """
`cache` of setup-python and setup-node has GitHub's keys (system, processor, version, digest of the lock files) and needs a lock file, as
there. What is kept depends on the folder. All jobs are given your own caches of pip and npm, and of yarn 1 where you have one: these are
used as they are, nothing is copied, and `cache-hit` says whether a job with such a key has ended well here. A folder in the job's home or
workspace (pnpm's store, yarn's own) is saved when the job succeeds, and restored. Of pipenv and poetry the downloads are kept and not the
virtual environments, and `cache-hit` stays false (SPK022).

As on GitHub, setup-python has the job's later output searched for Python's tracebacks, and setup-node for what tsc and ESLint say: each
becomes an annotation. `::remove-matcher owner=python::` (or `tsc`, `eslint-stylish`, `eslint-compact`) ends that.
"""


def language_page() -> str:
    """The text of docs/language.md."""
    lines = [_HEAD]
    for path, records, place in _sections("", LANGUAGE, None):
        lines += [
            f"## {f'`{path}`' if path else 'The file'}",
            "",
            "| key | value | expressions | since | |",
            "| --- | --- | --- | --- | --- |",
        ]
        keys: dict[str, tuple[Key, Place | None]] = {}
        for record in records:
            for name, key in record.keys.items():
                keys.setdefault(name, (key, record.place or place))
        lines += [_row(name, key, around) for name, (key, around) in keys.items()]
        lines.append("")
    lines += ["## Actions that need no network", "", "Whichever version a `uses` names, this is what its inputs do.", ""]
    lines += ["| action | inputs | without effect here |", "| --- | --- | --- |"]
    for name, action in sorted(NATIVE.items()):
        honoured = ", ".join(f"`{known}`" for known, why in action.inputs.items() if why == HONOURED)
        ignored = "; ".join(f"`{known}`: {why}" for known, why in action.inputs.items() if why != HONOURED)
        lines.append(f"| `{name}` | {honoured} | {ignored} |")
    return "\n".join(lines) + "\n" + _PACKAGES


def differences_page() -> str:
    """The text of docs/differences.md."""
    return _DIFFERENCES_HEAD + "".join(f"\n## {code}: {about.title}\n\n{about.text}\n" for code, about in CODES.items())


def _sections(path: str, kind: Kind, place: Place | None) -> Iterator[tuple[str, Sequence[Record], Place | None]]:
    """Every mapping with keys of the language: its path, its shapes (a step has several), and the place around it."""
    place = kind.place or place
    options = kind.options if isinstance(kind, OneOf) else (kind,)
    records = [option for option in options if isinstance(option, Record)]
    if records:
        yield path, records, place
    told: set[str] = set()
    for option in options:
        if isinstance(option, Record):
            for name, key in option.keys.items():
                if name not in told:
                    told.add(name)
                    yield from _sections(f"{path}.{name}".lstrip("."), key.kind, option.place or place)
        elif isinstance(option, MapOf):
            for name, key in option.rest.items():
                yield from _sections(f"{path}.{name}", key.kind, option.place or place)
            yield from _sections(f"{path}.<{option.each or 'name'}>", option.value, option.place or place)
        elif isinstance(option, ListOf):
            yield from _sections(f"{path}[*]", option.item, option.place or place)


def _row(name: str, key: Key, place: Place | None) -> str:
    since = f"*no*: {key.refused}" if key.refused else key.since
    needed = _NEEDED[key.required] + (f" Only in `{SPARKI_FOLDER}`." if key.only is Dialect.SPARKI else "")
    return f"| `{name}` | {_value(key.kind)} | {_expressions(key.kind, place)} | {since} | {key.doc}{needed} |"


def _value(kind: Kind) -> str:
    options = kind.options if isinstance(kind, OneOf) else (kind,)
    return " or ".join(dict.fromkeys(_word(option) for option in options))


def _word(kind: Kind) -> str:
    if isinstance(kind, Text) and kind.choices:
        return ", ".join(f"`{choice}`" for choice in kind.choices) if len(kind.choices) <= _FEW else "one of the names below"
    if isinstance(kind, Text) and kind.condition:
        return "a condition"
    names = {Flag: "true, false", Number: "a number", Nothing: "nothing"}
    return names.get(type(kind)) or describe(kind)


def _expressions(kind: Kind, place: Place | None) -> str:
    place = kind.place or place
    if place is None and isinstance(kind, OneOf):
        place = next((option.place for option in kind.options if option.place is not None), None)
    if place is None:
        inner = kind.value if isinstance(kind, MapOf) else kind.item if isinstance(kind, ListOf) else None
        place = inner.place if inner is not None else None
    if place is None:
        return ""
    functions = f"; {', '.join(f'`{name}()`' for name in place.functions)}" if place.functions else ""
    return ", ".join(f"`{context}`" for context in place.contexts) + functions

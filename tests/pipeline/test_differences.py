"""What will not be as on GitHub's runner: found, placed, silenced, explained."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from sparki_daemon.model.problem import Problem
from sparki_daemon.pipeline import codes
from sparki_daemon.pipeline.codes import CODES
from sparki_daemon.pipeline.differences import differences, in_short
from sparki_daemon.pipeline.machine import Machine
from sparki_daemon.pipeline.needs import select_jobs
from sparki_daemon.pipeline.plan import plan
from sparki_daemon.pipeline.reader import read

GOLDEN = Path(__file__).parent.parent / "golden" / "pipeline" / "differences"
PROGRAMS = frozenset({"make", "curl", "npm", "python", "python3", "docker", "sudo", "brew", "bash", "sh"})
ACTIONS = {
    "./own": b"runs:\n  using: node24\n  pre: begin.js\n  main: main.js\n",
    "./outer": b"runs: {using: composite, steps: [{uses: ./inner}, {uses: ./inner}, {uses: ./outer}]}\n",
    "./inner": b"runs: {using: node20, main: m.js, pre: p.js}\n",
    "./broken": b"runs: [",
}


def lacking(action: str, inputs: Mapping[str, str]) -> str:
    """A machine with Python 3.12 and Node.js 22."""
    text = inputs.get("python-version") or inputs.get("node-version") or ""
    return "" if text in {"", "3.12", "22"} else f"there is no {action.removeprefix('actions/setup-')} {text} here"


def action_file(uses: str) -> tuple[str, bytes] | None:
    return (f"{uses.removeprefix('./')}/action.yml", ACTIONS[uses]) if uses in ACTIONS else None


HERE = Machine(repository="ada/engine", exists=PROGRAMS.__contains__, lacking=lacking, action_file=action_file)


def found(text: str, machine: Machine = HERE, jobs: tuple[str, ...] = ()) -> list[Problem]:
    document = read(text.encode(), "ci.yml")
    made = plan(document, github={"ref_name": "main"})
    return differences(select_jobs(made, jobs) if jobs else made, document, machine)


def script(text: str, machine: Machine = HERE) -> list[tuple[str, str]]:
    """(code, place) of what is different in a `run` whose first line is line 10 of the file."""
    lines = "".join(f"          {line}\n" for line in text.split("\n"))
    first = "  a:\n    runs-on: ubuntu-latest\n    steps: [{run: make}]\n"
    body = f"on: push\njobs:\n{first}  b:\n    runs-on: ubuntu-latest\n    steps:\n      - run: |\n{lines}"
    return [(problem.code, str(problem.at).removeprefix("ci.yml:")) for problem in found(body, machine)]


@pytest.mark.parametrize("case", sorted(GOLDEN.glob("*.yml")), ids=lambda case: case.stem)
def test_differences_are_what_their_golden_file_says(case: Path, golden: Callable[[Path, str], None]) -> None:
    document = read(case.read_bytes(), case.name)
    told = differences(plan(document, github={"ref_name": "main"}), document, HERE)

    lines = [f"{problem.at}: {problem.code}: {problem.message}" for problem in told]
    lines += ["in short:", *(f"    {problem.message}" for problem in in_short(told))]
    golden(case.with_suffix(".txt"), "\n".join(lines) + "\n")


def test_every_word_that_is_told_stands_at_its_place() -> None:
    for case in sorted(GOLDEN.glob("*.yml")):
        lines = case.read_text(encoding="utf-8").split("\n")
        document = read(case.read_bytes(), case.name)
        for problem in differences(plan(document, github={"ref_name": "main"}), document, HERE):
            if problem.code in {codes.SUDO, codes.SYSTEM_PACKAGES, codes.DOCKER, codes.MISSING_TOOL, codes.FIXED_TEMP}:
                word = problem.message.split("'")[1]
                assert problem.at is not None
                assert lines[problem.at.line - 1][problem.at.column - 1 :].startswith(word), (problem, case.name)


def test_programs_are_missed_only_where_somebody_has_looked_for_them() -> None:
    assert script("gh pr list") == [("SPK004", "10:11")]
    assert script("gh pr list", replace(HERE, exists=None)) == []


def test_a_program_that_github_has_not_either_is_no_difference() -> None:
    assert script("my-own-program --run") == []


def test_what_an_action_sets_up_is_not_missed_after_it() -> None:
    nothing = replace(HERE, exists=lambda _: False)
    steps = "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n"

    assert [problem.code for problem in found(steps + "      - run: node x\n", nothing)] == ["SPK004"]
    assert found(steps + "      - uses: actions/setup-node@v6\n      - run: node x; npm ci\n", nothing) == []


def test_what_would_change_the_machine_may_not_be_there_at_all() -> None:
    bare = replace(HERE, exists=lambda _: False)
    text = "on: push\njobs: {a: {runs-on: ubuntu-latest, steps: [{run: sudo apt x; docker y}]}}\n"

    assert [problem.message for problem in found(text, bare)] == [f"'{word}' is not installed here" for word in ("sudo", "apt", "docker")]
    told = [problem.message for problem in found(text, replace(HERE, exists=None))]
    assert told == ["'sudo' would change this machine", "'apt' installs packages for this whole machine", "'docker' is this machine's own"]


@pytest.mark.parametrize(("shell", "codes"), [("bash", ["SPK005"]), ("bash -e {0}", ["SPK005"]), ("python", []), ("pwsh", ["SPK019"])])
def test_a_script_in_another_language_is_not_read_as_a_shells(shell: str, codes: list[str]) -> None:
    own = f"on: push\njobs: {{a: {{runs-on: ubuntu-latest, steps: [{{run: sudo x, shell: '{shell}'}}]}}}}\n"
    default = f"on: push\ndefaults: {{run: {{shell: '{shell}'}}}}\njobs: {{a: {{runs-on: ubuntu-latest, steps: [{{run: sudo x}}]}}}}\n"

    assert [problem.code for problem in found(own)] == codes
    assert [problem.code for problem in found(default)] == codes


def test_a_difference_is_told_once_a_job() -> None:
    assert script("sudo a\nsudo b\nsudo c") == [("SPK005", "10:11")]


STEPS = "on: push\nenv: {V: '3.9'}\njobs:\n  a:\n    runs-on: ubuntu-latest\n    env: {W: '${{ vars.W }}'}\n    steps:\n"


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        ("3.12", None),
        ("3.8", "3.8"),
        ("${{ env.V }}", "3.9"),
        ("3.${{ inputs.minor }}", "3.7"),
        ("${{ vars.NEWEST }}", "3.15"),
        ("${{ env.W }}", None),
        ("${{ env.SET_BY_A_STEP }}", None),
        ("${{ env }}", None),
        ("${{ steps.v.outputs.v }}", None),
        ("${{ hashFiles('x') }}", None),
    ],
)
def test_a_version_is_missed_where_it_is_known_before_the_run(given: str, asked: str | None) -> None:
    document = read(f'{STEPS}      - {{uses: actions/setup-python@v6, with: {{python-version: "{given}"}}}}\n'.encode(), "ci.yml")
    known = {"inputs": {"minor": 7}, "vars": {"NEWEST": "3.15"}, "github": {"ref_name": "main"}}
    told = differences(plan(document, github={"ref_name": "main"}), document, HERE, known)

    assert [problem.message for problem in told if problem.code == codes.ABSENT_VERSION] == (
        [f"there is no python {asked} here"] if asked else []
    )


def test_a_version_of_a_matrix_that_waits_for_other_jobs_is_not_judged() -> None:
    late = "{matrix: {v: '${{ fromJSON(needs.a.outputs.v) }}'}}"
    setup = "{uses: actions/setup-node@v6, with: {node-version: '${{ matrix.v }}'}}"
    first = "on: push\njobs:\n  a: {runs-on: ubuntu-latest, outputs: {v: '[1]'}, steps: [{run: a}]}\n"
    text = f"{first}  b: {{needs: a, runs-on: ubuntu-latest, strategy: {late}, steps: [{setup}]}}\n"

    assert found(text) == []


def test_a_shell_that_a_step_has_set_up_is_not_missed() -> None:
    bare = replace(HERE, exists=lambda _: False, lacking=None)
    python = "      - {run: 'a()', shell: python}\n"

    assert [problem.code for problem in found(STEPS + python, bare)] == ["SPK019"]
    assert found(f"{STEPS}      - uses: actions/setup-python@v6\n{python}", bare) == []
    assert found(STEPS + python, replace(bare, exists=None)) == []


def test_what_the_project_accepts_is_not_told() -> None:
    silent = replace(HERE, silence=frozenset({"SPK005"}))

    assert script("sudo apt-get update") == [("SPK005", "10:11"), ("SPK006", "10:16")]
    assert script("sudo apt-get update", silent) == [("SPK006", "10:16")]


def test_jobs_that_are_not_run_are_not_told_of() -> None:
    text = "on: push\njobs:\n  a: {runs-on: x, steps: [{run: sudo a}]}\n  b: {runs-on: ubuntu-latest, steps: [{run: '${{ secrets.B }}'}]}\n"

    assert [problem.code for problem in found(text)] == ["SPK003", "SPK005", "SPK011"]
    assert [problem.code for problem in found(text, jobs=("b",))] == ["SPK011"]


def test_of_a_job_that_is_skipped_here_the_system_alone_is_told() -> None:
    text = "on: push\njobs: {a: {runs-on: windows-latest, permissions: {}, steps: [{run: 'sudo ${{ secrets.A }}'}]}}\n"

    assert [problem.code for problem in found(text)] == ["SPK001"]


def test_in_short_each_kind_has_one_line() -> None:
    short = in_short(
        found("on: push\njobs:\n  a: {runs-on: ubuntu-latest, steps: [{run: sudo a}, {run: '${{ secrets.A }} ${{ secrets.B }}'}]}\n")
    )

    assert [problem.message for problem in short] == [
        "SPK005 'sudo' would change this machine (ci.yml:3:45)",
        "SPK011 'secrets.A' is not set: sparki secret set A (ci.yml:3:65, and 1 more place)",
    ]
    assert in_short([]) == []


def test_every_code_is_explained_and_every_difference_has_one() -> None:
    texts = [case.read_text(encoding="utf-8") for case in GOLDEN.glob("*.txt")]
    told = {line.split(": ")[1] for text in texts for line in text.split("\n") if ": SPK" in line and line[0] != " "}

    assert told == CODES.keys()
    for code, about in CODES.items():
        assert code.startswith("SPK")
        assert len(code) == 6
        assert about.title
        assert about.text.endswith(".")


def test_a_script_as_long_as_a_file_may_be_is_looked_through_to_its_end() -> None:
    steps = "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: |\n"

    told = found(steps + "          sudo apt x && jq a | b; c\n" * 28_000 + "          docker ps\n")

    assert [(problem.code, problem.at.line) for problem in told if problem.at] == [
        ("SPK005", 7),
        ("SPK006", 7),
        ("SPK004", 7),
        ("SPK007", 28_007),
    ]

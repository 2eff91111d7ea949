"""What is proposed for Python: how it is installed, tested and linted follows from the files alone."""

from __future__ import annotations

import pytest

from sparki_daemon.proposal import Proposal, propose, wanted

PACKAGE = "[project]\nname = 'shop'\n"
PYTEST = "[tool.pytest.ini_options]\n"
PIP = "python -m pip install"


def proposed(files: dict[str, str], *tools: str) -> Proposal:
    return propose(files, files, tools)


def commands(files: dict[str, str], *tools: str, job: str = "test") -> list[str]:
    """The commands of a job, behind the one that makes an environment of its own."""
    steps = [step for ident, _, of in proposed(files, *tools).jobs() if ident == job for step in of.steps]
    assert not steps or steps[0].uses == "actions/setup-python@v6"
    return [step.command for step in steps[1:]]


def test_the_group_that_has_pytest_is_installed_with_the_project() -> None:
    groups = "[dependency-groups]\ntyping = ['mypy', 'pytest']\ntests-random = ['pytest']\ntests = ['pytest>=8', 'freezegun']\n"

    assert commands({"pyproject.toml": PACKAGE + groups}) == [
        f"{PIP} --upgrade pip",
        f"{PIP} -e . --group tests",
        "python -m pytest",
    ]


def test_a_group_has_what_the_groups_have_that_it_includes() -> None:
    groups = (
        "[dependency-groups]\nBase_Tests = ['pytest']\ndev = ['ruff', {include-group = 'base-tests'}]\nloop = [{include-group='loop'}]\n"
    )

    assert commands({"pyproject.toml": PACKAGE + groups})[1] == f"{PIP} -e . --group dev"  # a known name before an unknown one


def test_an_extra_that_has_pytest_is_installed_with_the_project() -> None:
    extras = "[project.optional-dependencies]\ncli = ['click']\ntest = ['PyTest[testing] ~= 8.0; python_version > \"3\"']\n"

    assert commands({"pyproject.toml": PACKAGE + extras}) == [f"{PIP} -e '.[test]'", "python -m pytest"]


def test_a_group_of_a_folder_that_is_no_package_is_installed_alone() -> None:
    assert commands({"pyproject.toml": "[dependency-groups]\ndev = ['pytest']\n"})[1:] == [f"{PIP} --group dev", "python -m pytest"]


def test_with_a_lock_file_and_uv_here_uv_does_it() -> None:
    files = {"pyproject.toml": f"{PACKAGE}[dependency-groups]\ntests = ['pytest']\n", "uv.lock": ""}

    assert commands(files, "uv") == ["uv sync --locked --group tests", "uv run --no-sync pytest"]
    assert commands(files)[1] == f"{PIP} -e . --group tests"  # uv is not here
    assert commands({**files, "pyproject.toml": f"{PACKAGE}[project.optional-dependencies]\nt = ['pytest']\n"}, "uv") == [
        "uv sync --locked --extra t",
        "uv run --no-sync pytest",
    ]


@pytest.mark.parametrize(
    ("group", "flag"),
    [
        ("[tool.poetry.group.dev.dependencies]\npytest = '^8'\n", ""),
        ("[tool.poetry.dev-dependencies]\npytest = '^8'\n", ""),
        ("[tool.poetry.group.test]\noptional = true\n[tool.poetry.group.test.dependencies]\npytest = '*'\n", " --with test"),
        ("[project.optional-dependencies]\ntests = ['pytest']\n", " --extras tests"),
    ],
)
def test_with_poetrys_lock_file_poetry_does_it(group: str, flag: str) -> None:
    files = {"pyproject.toml": f"[tool.poetry]\nname = 'shop'\n{group}", "poetry.lock": ""}

    assert commands(files, "poetry") == [f"poetry install --no-interaction{flag}", "poetry run pytest"]
    assert commands(files)[0] == f"{PIP} poetry"


def test_files_of_requirements_are_installed_where_they_hold_the_tests() -> None:
    files = {
        "requirements.txt": "flask\n",
        "requirements-dev.txt": "-r requirements.txt\npytest\n",
        "app.py": "",
        "docs/requirements.txt": "x",
    }

    assert commands(files) == [f"{PIP} -r requirements.txt -r requirements-dev.txt", "python -m pytest"]
    assert commands({"setup.py": "", "test-requirements.txt": "pytest==8.1"}) == [
        f"{PIP} -e .",
        f"{PIP} -r test-requirements.txt",
        "python -m pytest",
    ]


def test_where_only_tox_knows_what_tests_need_tox_tests_with_this_python() -> None:
    wanted = [f"{PIP} tox", "python -m tox run -e py"]

    assert commands({"pyproject.toml": PACKAGE + PYTEST, "tox.ini": "[tox]\nenvlist = py310,py311\n"}) == wanted
    assert commands({"pyproject.toml": f"{PACKAGE}[tool.tox]\nenv_list = ['py']\n"}) == wanted
    assert commands({"setup.py": "", "setup.cfg": "[tox:tox]\nenvlist = py\n"}) == wanted


def test_nox_runs_the_session_that_tests() -> None:
    files = {"pyproject.toml": PACKAGE, "noxfile.py": "def lint(session):\n    ...\n\ndef tests(session: nox.Session) -> None:\n    ...\n"}

    assert commands(files) == [f"{PIP} nox", "python -m nox --no-error-on-missing-interpreters --session tests"]
    assert commands({"noxfile.py": "import nox\n"})[-1] == "python -m nox --no-error-on-missing-interpreters"


@pytest.mark.parametrize(
    "files",
    [
        {"pyproject.toml": PACKAGE + PYTEST},
        {"setup.py": "", "pytest.ini": "[pytest]\n"},
        {"setup.py": "", "setup.cfg": "[tool:pytest]\naddopts = -q\n"},
        {"setup.py": "", "tests/conftest.py": ""},
    ],
)
def test_pytest_that_is_configured_and_named_nowhere_is_installed(files: dict[str, str]) -> None:
    assert commands(files) == [f"{PIP} -e .", f"{PIP} pytest", "python -m pytest"]


def test_test_files_without_any_configuration_are_unittests() -> None:
    files = {"setup.py": "", "tests/test_a.py": "", "tests/deep/test_b.py": ""}
    assert commands(files)[-1] == "python -m unittest discover -s tests"
    assert commands({**files, "tests/__init__.py": ""})[-1] == "python -m unittest discover -s tests -t ."
    assert commands({"requirements.txt": "six\n", "test_a.py": ""}) == [f"{PIP} -r requirements.txt", "python -m unittest"]


@pytest.mark.parametrize(
    "text", ["def test_a():\n    assert 1\n", "import pytest\n", "async def test_a() -> None: ...\n", "from pytest import raises\n"]
)
def test_test_files_that_only_pytest_can_run_get_pytest(text: str) -> None:
    assert commands({"setup.py": "", "tests/test_a.py": "", "tests/test_b.py": text}) == [
        f"{PIP} -e .",
        f"{PIP} pytest",
        "python -m pytest",
    ]
    assert commands({"setup.py": "", "tests/a_test.py": text})[-1] == "python -m pytest"


def test_methods_of_a_test_case_are_left_to_unittest() -> None:
    text = "import unittest\nclass T(unittest.TestCase):\n    def test_a(self): ...\n"
    assert commands({"setup.py": "", "test_a.py": text})[-1] == "python -m unittest"


def test_some_test_files_are_read_and_not_a_thousand() -> None:
    tests = [f"tests/test_{number}.py" for number in range(1000)]
    assert len(wanted(tests)) == 20


def test_django_tests_by_its_own_command_unless_pytest_does() -> None:
    files = {"requirements.txt": "django\n", "manage.py": "", "shop/tests.py": ""}

    assert commands(files)[-1] == "python manage.py test"
    assert commands({**files, "requirements.txt": "django\npytest-django\npytest\n"})[-1] == "python -m pytest"


@pytest.mark.parametrize("path", ["t\udcff/test_a.py", "a b/test_a.py", "$(x)/test_a.py", "${{ x }}/test_a.py"])
def test_a_path_that_a_shell_would_read_otherwise_stands_in_no_command(path: str) -> None:
    assert commands({"setup.py": "", path: ""}) == [f"{PIP} -e .", "python -m pip check"]


def test_without_tests_it_is_installed_and_that_is_said() -> None:
    proposal = proposed({"pyproject.toml": PACKAGE, "shop/__init__.py": ""})

    assert commands({"pyproject.toml": PACKAGE}) == [f"{PIP} -e .", "python -m pip check"]
    assert any("nothing says how it is tested" in note for note in proposal.notes)


def test_ruff_lints_where_it_is_configured_in_the_version_of_the_hooks() -> None:
    ruff = {"pyproject.toml": f"{PACKAGE}[tool.ruff]\nfix = true\n"}
    hook = "repos:\n- repo: https://github.com/astral-sh/ruff-pre-commit\n  rev: {}\n  hooks: []\n"

    assert commands(ruff, job="lint") == [f"{PIP} ruff", "ruff check --no-fix ."]
    assert commands({"setup.py": "", "ruff.toml": ""}, job="lint")[-1] == "ruff check --no-fix ."
    assert commands({**ruff, ".pre-commit-config.yaml": hook.format("v0.12.3")}, job="lint")[0] == f"{PIP} ruff==0.12.3"
    frozen = hook.format("76e47323a83cd9795e4ff9a1de1c0d2eef610f17  # frozen: v0.11.11")
    assert commands({**ruff, ".pre-commit-config.yaml": frozen}, job="lint")[0] == f"{PIP} ruff==0.11.11"
    assert commands({"pyproject.toml": PACKAGE}, job="lint") == []


@pytest.mark.parametrize(
    ("files", "inputs"),
    [
        ({"pyproject.toml": f"{PACKAGE}requires-python = '>=3.11'\n"}, {"python-version-file": "pyproject.toml"}),
        ({"setup.py": "", ".python-version": "3.12\n"}, {"python-version-file": ".python-version"}),
        ({"setup.py": ""}, {}),
    ],
)
def test_the_python_is_the_one_that_the_project_asks_for(files: dict[str, str], inputs: dict[str, str]) -> None:
    ((_, _, job),) = proposed(files).jobs()

    assert job.steps[0].inputs == inputs


def test_a_broken_pyproject_is_told_and_nothing_is_proposed() -> None:
    proposal = proposed({"pyproject.toml": "[project\n"})

    assert proposal.found == ()
    assert proposal.notes[0].startswith("pyproject.toml can't be read: ")


@pytest.mark.parametrize("text", ["project = 1\n", "[dependency-groups]\na = 'pytest'\n", "[tool]\npoetry = 3\npytest = []\n"])
def test_a_pyproject_of_odd_shape_breaks_nothing(text: str) -> None:
    proposal = proposed({"pyproject.toml": text, "poetry.lock": "", "test_a.py": ""})

    assert [job.kind for _, _, job in proposal.jobs()] == ["test"]


def test_a_group_whose_name_a_shell_would_read_otherwise_is_not_used() -> None:
    groups = "[dependency-groups]\n'$(touch x)' = ['pytest']\n"

    assert not any("$" in command for command in commands({"pyproject.toml": PACKAGE + PYTEST + groups}))

"""Python: how the project is installed for its tests, how it is tested, and the linter that it configures."""

from __future__ import annotations

import re

from sparki_daemon.proposal.found import Found, Job, Step, Tree
from sparki_daemon.proposal.python_project import Group, PythonProject

FILES = ("pyproject.toml", "setup.py", "setup.cfg", "requirements.txt", "tox.ini", "tox.toml", "noxfile.py")
READ = (*FILES, "pytest.ini", ".pytest.ini", ".pre-commit-config.yaml", "ruff.toml", ".ruff.toml")
_PIP = "python -m pip install"
_RUFF_PIN = re.compile(r"ruff-pre-commit\W*\n\s*rev:\s*\S*?v?(\d+\.\d+\.\d+)|ruff-pre-commit\W*\n\s*rev:.*#.*?v?(\d+\.\d+\.\d+)")


def detect(tree: Tree) -> Found | None:
    """The proposal for a folder with one of Python's files; None: there is none."""
    file = tree.first(*FILES)
    if not file:
        return None
    try:
        project = PythonProject(tree)
    except ValueError as error:
        return Found(stack="Python", file=file, notes=(str(error),))
    test, notes = _test(project)
    lint = _lint(project)
    jobs = (*((Job("test", (_python(project), *test)),) if test else ()), *((Job("lint", (_python(project), *lint)),) if lint else ()))
    return Found(stack="Python", file=file, jobs=jobs, notes=notes)


def _python(project: PythonProject) -> Step:
    """A Python of the job's own, so that nothing is installed into the user's."""
    version = project.table("project").get("requires-python")
    if ".python-version" in project.tree:
        return Step("", ".python-version", "actions/setup-python@v6", {"python-version-file": ".python-version"})
    if isinstance(version, str):
        why = f"pyproject.toml: requires-python {version}"
        return Step("", why, "actions/setup-python@v6", {"python-version-file": "pyproject.toml"})
    return Step("", "an environment of the job's own", "actions/setup-python@v6")


def _test(project: PythonProject) -> tuple[list[Step], tuple[str, ...]]:
    """The steps that install and test, and what is to be said besides."""
    if "poetry.lock" in project.tree and project.table("tool", "poetry"):
        return _by_poetry(project)
    group, file = project.group_with("pytest"), project.requirements_with("pytest")
    if group or file:
        return [*_install(project, group), Step(f"{_runner(project)}pytest", _says_pytest(group, file))], ()
    if config := project.tox_config:
        why = f"{config}; '-e py' is its tests with this Python"
        return [Step(f"{_PIP} tox", config), Step("python -m tox run -e py", why)], ()
    if "noxfile.py" in project.tree:
        return _by_nox(project)
    if config := project.pytest_config:
        why = f"{config} is pytest's, and nothing says which version"
        return [*_install(project, None), Step(f"{_PIP} pytest", why), Step("python -m pytest", config)], ()
    if "manage.py" not in project.tree and (path := project.pytest_test):
        why = f"{path} is written for pytest, and nothing says which version"
        return [*_install(project, None), Step(f"{_PIP} pytest", why), Step("python -m pytest", path)], ()
    if "manage.py" in project.tree:
        return [*_install(project, None), Step("python manage.py test", "manage.py is Django's")], ()
    if project.test_files:
        why = f"{project.test_files[0]}, and no other way to test is configured"
        return [*_install(project, None), Step(_unittest(project), why)], ()
    steps = _install(project, None)
    note = "nothing says how it is tested: no pytest, tox or nox is configured, and no file is named test_*.py"
    return ([*steps, Step("python -m pip check", "that it can be installed is all that can be checked")] if steps else []), (note,)


def _unittest(project: PythonProject) -> str:
    folders = {path.rpartition("/")[0] for path in project.test_files}  # below the first one unittest finds the others
    top = min(folders, key=lambda folder: (folder.count("/"), folder))
    start = top.partition("/")[0]
    whole = " -t ." if f"{start}/__init__.py" in project.tree else ""  # a folder that is no package can't be imported from the root
    return f"python -m unittest discover -s {start}{whole}" if start else "python -m unittest"


def _says_pytest(group: Group | None, file: str) -> str:
    if group:
        kind = "group of poetry's" if group.kind == "poetry" else group.kind
        return f"pyproject.toml: the {kind} '{group.name}' has pytest"
    return f"{file} has pytest"


def _has_uv(project: PythonProject) -> bool:
    return "uv.lock" in project.tree and "uv" in project.tree.tools


def _runner(project: PythonProject) -> str:
    return "uv run --no-sync " if _has_uv(project) else "python -m "


def _install(project: PythonProject, group: Group | None) -> list[Step]:
    """How project and tests' dependencies are installed: with the group that holds the tests, else with the files of requirements."""
    if _has_uv(project):
        flag = {"extra": f" --extra {group.name}", "group": f" --group {group.name}"}.get(group.kind, "") if group else ""
        return [Step(f"uv sync --locked{flag}", "uv.lock")]
    steps = []
    if group and group.kind == "group":
        steps.append(Step(f"{_PIP} --upgrade pip", "dependency groups need a new pip"))
    extra = f"[{group.name}]" if group and group.kind == "extra" else ""
    flags = f" --group {group.name}" if group and group.kind == "group" else ""
    files = () if group else project.requirements
    if project.is_package:
        named = f"'.{extra}'" if extra else "."
        why = "the project itself" + (f", with the {group.kind} '{group.name}'" if group else "")
        steps.append(Step(f"{_PIP} -e {named}{flags}", why))
    elif flags:
        steps.append(Step(f"{_PIP}{flags}", f"pyproject.toml: the group '{group.name if group else ''}'"))
    if files:
        steps.append(Step(f"{_PIP} {' '.join(f'-r {path}' for path in files)}", ", ".join(files)))
    return steps


def _by_poetry(project: PythonProject) -> tuple[list[Step], tuple[str, ...]]:
    group = project.group_with("pytest")
    poetry = [] if "poetry" in project.tree.tools else [Step(f"{_PIP} poetry", "poetry.lock, and poetry is not installed here")]
    optional = group and group.kind == "poetry" and project.table("tool", "poetry", "group", group.name).get("optional") is True
    flag = f" --with {group.name}" if group and optional else f" --extras {group.name}" if group and group.kind == "extra" else ""
    steps = [*poetry, Step(f"poetry install --no-interaction{flag}", "poetry.lock")]
    if group or project.pytest_config:
        return [*steps, Step("poetry run pytest", _says_pytest(group, "") if group else project.pytest_config)], ()
    if project.test_files:
        return [*steps, Step(f"poetry run {_unittest(project)}", project.test_files[0])], ()
    return [*steps, Step("poetry check", "poetry.lock")], ("nothing says how it is tested",)


def _by_nox(project: PythonProject) -> tuple[list[Step], tuple[str, ...]]:
    sessions = re.findall(r"^def (\w+)\(\s*session", project.tree.text("noxfile.py"), re.MULTILINE)
    name = next((name for name in ("tests", "test", "unit", "pytest") if name in sessions), "")
    which = f" --session {name}" if name else ""
    why = f"noxfile.py: the session '{name}'" if name else "noxfile.py"
    return [Step(f"{_PIP} nox", "noxfile.py"), Step(f"python -m nox --no-error-on-missing-interpreters{which}", why)], ()


def _lint(project: PythonProject) -> list[Step]:
    """ruff, where the project configures it; in the version that its hooks name."""
    config = project.ruff_config
    if not config:
        return []
    pin = _RUFF_PIN.search(project.tree.text(".pre-commit-config.yaml"))
    version = f"=={pin[1] or pin[2]}" if pin else ""
    install = Step(f"{_PIP} ruff{version}", ".pre-commit-config.yaml names the version" if pin else config)
    return [install, Step("ruff check --no-fix .", f"{config} configures ruff")]

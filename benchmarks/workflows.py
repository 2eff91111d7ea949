"""The same work said in each program's own words: independent jobs, a chain of jobs, the steps of one job."""

from __future__ import annotations

HEAD = "on: push\njobs:\n"


def one() -> dict[str, str]:
    return _workflow(_job("only", ["echo done"]))


def independent(count: int, says: str = "echo {}") -> dict[str, str]:
    rules = "".join(f"build {_name(n)}: {_name(n)}\n" for n in range(count))
    return {
        **_workflow("".join(_job(_name(n), [says.format(n)]) for n in range(count))),
        "build.ninja": _rules(count) + rules,
        "Taskfile.yml": "version: '3'\nsilent: true\ntasks:\n  default:\n    deps: "
        f"[{', '.join(_name(n) for n in range(count))}]\n"
        + "".join(f"  {_name(n)}:\n    cmds: [\"bash -e -c 'echo {n}'\"]\n" for n in range(count)),
    }


def chained(count: int, says: str = "echo {}") -> dict[str, str]:
    rules = "".join(f"build {_name(n)}: {_name(n)} {_name(n - 1) if n else ''}\n" for n in range(count))
    return {
        **_workflow("".join(_job(_name(n), [says.format(n)], need=_name(n - 1) if n else "") for n in range(count))),
        "build.ninja": _rules(count) + rules,
        "Taskfile.yml": f"version: '3'\nsilent: true\ntasks:\n  default:\n    deps: [{_name(count - 1)}]\n"
        + "".join(f"  {_name(n)}:\n    deps: [{_name(n - 1) if n else ''}]\n    cmds: [\"bash -e -c 'echo {n}'\"]\n" for n in range(count)),
    }


def stepped(count: int) -> dict[str, str]:
    return {
        **_workflow(_job("only", [f"echo {n}" for n in range(count)])),
        "Taskfile.yml": "version: '3'\nsilent: true\ntasks:\n  default:\n    cmds:\n"
        + "".join(f"      - bash -e -c 'echo {n}'\n" for n in range(count)),
    }


def logging(path: str, secrets: list[str]) -> dict[str, str]:
    """One step that says three secrets, and one that prints the file at `path`."""
    return _workflow(_job("only", ["; ".join(f"echo '::add-mask::{secret}'" for secret in secrets), f"cat {path}"]))


def shell_loop(count: int) -> list[str]:
    return ["sh", "-c", f"i=0; while [ $i -lt {count} ]; do bash -e -c 'echo '$i; i=$((i+1)); done"]


def _name(number: int) -> str:
    return f"n{number}"


def _workflow(jobs: str) -> dict[str, str]:
    return {".github/workflows/ci.yml": HEAD + jobs}


def _job(name: str, scripts: list[str], need: str = "") -> str:
    needs = f"    needs: {need}\n" if need else ""
    steps = "".join(f'      - run: "{script}"\n' for script in scripts)
    return f"  {name}:\n    runs-on: ubuntu-latest\n{needs}    steps:\n{steps}"


def _rules(count: int) -> str:
    return "".join(f"rule {_name(n)}\n  command = bash -e -c 'echo {n}'\n" for n in range(count))

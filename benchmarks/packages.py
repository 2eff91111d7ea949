"""Many small packages, each built from its own source, said in each program's own words."""

from __future__ import annotations

import json

BUILD = "mkdir -p dist && cat src/in > dist/out"
_SPARKI_JOB = """\
  {name}:
    defaults: {{run: {{working-directory: {folder}}}}}
    cache: {{inputs: ["{folder}/**"], outputs: ["{folder}/dist/**"]}}
    steps: ["{build}"]
"""
_RULE = "rule {name}\n  command = cd {folder} && {build}\nbuild {folder}/dist/out: {name} {folder}/src/in\n"
_TASK = """\
  {name}:
    dir: {folder}
    cmds: ["{build}"]
    sources: [src/in]
    generates: [dist/out]
"""


def packages(count: int) -> dict[str, str]:
    """The files of a repository with `count` packages."""
    names = [name_of(number) for number in range(count)]
    files = {
        ".gitignore": "dist/\n.turbo/\n.task/\n.ninja_*\n",
        ".sparki/pipelines/ci.yml": "jobs:\n" + _each(_SPARKI_JOB, names),
        "build.ninja": _each(_RULE, names),
        "Taskfile.yml": f"version: '3'\ntasks:\n  default:\n    deps: [{', '.join(names)}]\n" + _each(_TASK, names),
        "package.json": json.dumps({"name": "all", "private": True, "packageManager": "npm@11.0.0", "workspaces": ["packages/*"]}),
        "turbo.json": json.dumps({"tasks": {"build": {"inputs": ["src/**"], "outputs": ["dist/**"]}}}),
        "package-lock.json": json.dumps(_lock(names)),
    }
    for name in names:
        files[f"{folder_of(name)}/package.json"] = json.dumps({"name": name, "version": "1.0.0", "scripts": {"build": BUILD}})
        files[f"{folder_of(name)}/src/in"] = f"{name}\n"
    return files


def name_of(number: int) -> str:
    return f"n{number}"


def folder_of(name: str) -> str:
    return f"packages/{name}"


def _each(text: str, names: list[str]) -> str:
    return "".join(text.format(name=name, folder=folder_of(name), build=BUILD) for name in names)


def _lock(names: list[str]) -> dict[str, object]:
    """What `npm install` would write: turbo reads which package needs which."""
    links: dict[str, object] = {f"node_modules/{name}": {"resolved": folder_of(name), "link": True} for name in names}
    own: dict[str, object] = {folder_of(name): {"name": name, "version": "1.0.0"} for name in names}
    return {"name": "all", "lockfileVersion": 3, "requires": True, "packages": {"": {"workspaces": ["packages/*"]}, **links, **own}}

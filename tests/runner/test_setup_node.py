"""actions/setup-node: which version is taken, and what later steps see of it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from driver import Done, Driver, step

from sparki_daemon.toolchains.node import Node, best, read_range, version_of_file

VERSIONS = ((16, 20, 2), (18, 1, 0), (18, 20, 4), (20, 9, 0), (21, 1, 0))
THERE = [Node(version, ".".join(map(str, version))) for version in VERSIONS]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("18", "18.20.4"),
        ("18.x", "18.20.4"),
        ("v18.1", "18.1.0"),
        ("18.1.0", "18.1.0"),
        ("=18.1.0", "18.1.0"),
        ("18.1.1", None),
        (">=18 <20", "18.20.4"),
        (">= 18", "21.1.0"),
        (">20.9.0", "21.1.0"),
        ("<=18", "18.20.4"),
        ("<18", "16.20.2"),
        ("^18.2.0", "18.20.4"),
        ("~18.1", "18.1.0"),
        ("16 || 18", "18.20.4"),
        ("16 - 18.1", "18.1.0"),
        ("22", None),
        ("*", "21.1.0"),
        ("latest", "21.1.0"),
        ("node", "21.1.0"),
        ("lts/*", "20.9.0"),
        ("lts/-1", "18.20.4"),
        ("lts/-2", "16.20.2"),
        ("lts/Hydrogen", "18.20.4"),
        ("lts/jod", None),
    ],
)
def test_the_newest_version_that_fits_is_taken(text: str, found: str | None) -> None:
    node = best(read_range(text), THERE)

    assert (node.path if node else None) == found


@pytest.mark.parametrize("text", ["eighteen", "lts/none", ">>18", "18 and 20"])
def test_what_is_no_version_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"Node\.js"):
        read_range(text)


@pytest.mark.parametrize(
    ("name", "text", "wanted"),
    [
        (".nvmrc", "v20.1.0\n", "20.1.0"),
        (".nvmrc", "# ours\nlts/iron  # why\n", "lts/iron"),
        (".node-version", "18", "18"),
        (".tool-versions", "python 3.12\nnodejs 20.9.0\n", "20.9.0"),
        ("package.json", '{"engines": {"node": ">=18"}}', ">=18"),
        ("sub/package.json", '{"engines": {"node": ">=18"}, "volta": {"node": "20.1.0"}}', "20.1.0"),
        ("package.json", '{"devEngines": {"runtime": {"name": "node", "version": "^22"}}, "engines": {"node": "1"}}', "^22"),
    ],
)
def test_version_files_say_what_is_wanted(name: str, text: str, wanted: str) -> None:
    assert version_of_file(name, text) == wanted


@pytest.mark.parametrize(("name", "text"), [(".nvmrc", "\n"), ("package.json", "{}"), (".tool-versions", "python 3")])
def test_a_file_that_asks_for_nothing_is_refused(name: str, text: str) -> None:
    with pytest.raises(ValueError, match="asks for no version"):
        version_of_file(name, text)


def fake(folder: Path, version: str) -> None:
    """A node that knows its version, and an npm beside it."""
    folder.mkdir(parents=True)
    for name in ("node", "npm"):
        (folder / name).write_text(f"#!/bin/sh\necho v{version}\n")
        (folder / name).chmod(0o755)


@pytest.fixture
def machine(runner: Driver, tmp_path: Path) -> dict:
    """Keys for a run on a machine with three versions: one in PATH, two of version managers."""
    user = runner.home / "user"
    fake(tmp_path / "bin", "18.3.0")
    fake(user / ".nvm" / "versions" / "node" / "v20.5.1" / "bin", "20.5.1")
    fake(user / ".local" / "share" / "fnm" / "node-versions" / "v16.1.0" / "installation" / "bin", "16.1.0")
    path = os.pathsep.join([str(tmp_path / "bin"), "/nowhere"])
    for name in ("sh", "cat", "dirname", "bash", "ls", "grep", "rm", "echo"):
        (tmp_path / "bin" / name).symlink_to(shutil.which(name) or "/bin/sh")
    return {"run_env": {"PATH": path}}


def setup(**inputs: str) -> dict:
    return step(uses="actions/setup-node@v4", id="n", inputs={name.replace("_", "-"): text for name, text in inputs.items()})


def said(done: Done, index: int) -> list[str]:
    return done.text(index).splitlines()[1:]


def test_a_version_of_a_version_manager_comes_before_that_in_path(runner: Driver, machine: dict) -> None:
    done = runner.do("node --version", setup(node_version="20"), "node --version; npm; echo ${{ steps.n.outputs.node-version }}", **machine)

    assert said(done, 0) == ["v18.3.0"]
    assert said(done, 2) == ["v20.5.1"] * 3


def test_a_version_file_counts_and_nothing_given_takes_that_in_path(runner: Driver, machine: dict) -> None:
    done = runner.do(
        "echo 16 > .nvmrc", setup(node_version_file=".nvmrc"), "node --version", {**setup(), "id": "m"}, "node --version", **machine
    )

    assert (said(done, 2), said(done, 4)) == (["v16.1.0"], ["v16.1.0"])
    assert ".nvmrc asks for Node.js 16" in done.log


def test_an_absent_version_fails_and_names_those_that_are_there(runner: Driver, machine: dict) -> None:
    done = runner.do(setup(node_version="22"), **machine)

    assert done.conclusions == ["failure", "skipped"]
    assert "there is no Node.js 22 on this machine, and none is fetched; there: 16.1.0, 18.3.0, 20.5.1" in done.log


def test_global_packages_go_into_the_job_and_are_found(runner: Driver, machine: dict) -> None:
    script = """
        mkdir -p "$npm_config_prefix/bin"
        printf '#!/bin/sh\necho mine\n' > "$npm_config_prefix/bin/npm"
        chmod +x "$npm_config_prefix/bin/npm"
    """
    done = runner.do(setup(), script, "npm; echo $npm_config_prefix", run_env={"PATH": machine["run_env"]["PATH"] + ":/usr/bin:/bin"})

    assert said(done, 2)[0] == "mine"
    assert said(done, 2)[1].endswith("/home/.npm-global")


def test_what_a_job_installs_for_itself_is_found_without_setup(runner: Driver) -> None:
    script = """
        for folder in .npm-global/bin .local/bin; do
            mkdir -p ~/$folder && printf '#!/bin/sh\\necho %s\\n' $folder > ~/$folder/tool && chmod +x ~/$folder/tool
        done
    """
    done = runner.do(script, "tool; rm $(command -v tool); hash -r; tool")

    assert said(done, 1) == [".local/bin", ".npm-global/bin"]


def test_a_registry_gets_its_token_from_a_variable(runner: Driver, machine: dict) -> None:
    done = runner.do(
        setup(registry_url="https://npm.example.com/x", scope="Mine"),
        "cat $NPM_CONFIG_USERCONFIG; echo $NODE_AUTH_TOKEN; echo [${{ steps.n.outputs.cache-hit }}]",
        {**setup(registry_url="nowhere"), "id": "m"},
        **machine,
    )

    assert said(done, 1) == [
        "//npm.example.com/x/:_authToken=${NODE_AUTH_TOKEN}",
        "@mine:registry=https://npm.example.com/x/",
        "XXXXX-XXXXX-XXXXX-XXXXX",
        "[]",
    ]
    assert "'registry-url' is 'nowhere'" in done.text(2)

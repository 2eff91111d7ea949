"""What is proposed for Node.js, Go, Rust, Make, Maven and Gradle, for several at once, and for folders below the root."""

from __future__ import annotations

import json

import pytest

from sparki_daemon.proposal import Proposal, propose, wanted

MAKEFILE = (
    "CC := gcc\nall: shop\n\nshop: shop.o\n\t$(CC) -o shop shop.o\n\n%.o: %.c\n\tcc -c $<\n\n.PHONY: test\ntest check: all\n\t./shop: x\n"
)


def proposed(files: dict[str, str], *tools: str) -> Proposal:
    return propose(files, files, tools)


def jobs(files: dict[str, str], *tools: str) -> dict[str, list[str]]:
    return {ident: [step.command or step.uses for step in job.steps] for ident, _, job in proposed(files, *tools).jobs()}


def package(**scripts: str) -> str:
    return json.dumps({"name": "shop", "scripts": scripts})


@pytest.mark.parametrize(
    ("lock", "install", "test"),
    [
        ("package-lock.json", "npm ci", "npm test"),
        ("npm-shrinkwrap.json", "npm ci", "npm test"),
        ("pnpm-lock.yaml", "pnpm install --frozen-lockfile", "pnpm test"),
        ("yarn.lock", "yarn install --frozen-lockfile", "yarn test"),
        ("README.md", "npm install", "npm test"),
    ],
)
def test_the_lock_file_says_who_installs_and_how(lock: str, install: str, test: str) -> None:
    assert jobs({"package.json": package(test="ava"), lock: ""}) == {"test": [install, test]}


def test_a_newer_yarn_is_known_by_its_settings_or_by_the_package() -> None:
    files = {"package.json": package(test="jest"), "yarn.lock": ""}

    assert jobs({**files, ".yarnrc.yml": ""})["test"][0] == "yarn install --immutable"
    named = json.dumps({"packageManager": "yarn@4.1.0", "scripts": {"test": "jest"}})
    assert jobs({**files, "package.json": named})["test"][0] == "yarn install --immutable"


def test_scripts_that_lint_build_and_test_run_in_this_order() -> None:
    files = {"package.json": package(test="jest", start="node .", build="tsc", lint="eslint ."), "package-lock.json": "{}"}

    assert jobs(files) == {"test": ["npm ci", "npm run lint", "npm run build", "npm test"]}


@pytest.mark.parametrize("test", ["npm run lint && mocha", "xo && ava && tsd", "eslint . && jest"])
def test_linting_is_left_out_where_the_tests_do_it(test: str) -> None:
    assert jobs({"package.json": package(test=test, lint="eslint .")})["test"] == ["npm install", "npm test"]


def test_npms_placeholder_is_no_test() -> None:
    placeholder = 'echo "Error: no test specified" && exit 1'

    assert proposed({"package.json": package(test=placeholder)}).found == ()
    assert "no script 'test', 'build' or 'lint'" in proposed({"package.json": package(test=placeholder)}).notes[0]
    built = {"package.json": package(test=placeholder, build="tsc")}
    assert jobs(built) == {"test": ["npm install", "npm run build"]}
    assert "nothing is tested" in proposed(built).notes[0]


def test_a_file_that_names_the_version_of_node_is_obeyed() -> None:
    ((_, _, job),) = proposed({"package.json": package(test="ava"), ".nvmrc": "22\n"}).jobs()

    assert (job.steps[0].uses, job.steps[0].inputs) == ("actions/setup-node@v6", {"node-version-file": ".nvmrc"})


@pytest.mark.parametrize("text", ["{", "[]", "null", '{"scripts": 3}', '{"scripts": {"test": 3}}'])
def test_a_package_of_odd_shape_is_told_and_nothing_is_proposed(text: str) -> None:
    proposal = proposed({"package.json": text})

    assert proposal.found == ()
    assert "package.json" in proposal.notes[0]


def test_go_builds_vets_and_tests() -> None:
    assert jobs({"go.mod": "module shop\n", "a.go": ""}) == {"test": ["go build ./...", "go vet ./..."]}
    linted = {"go.mod": "module shop\n", "b/a_test.go": "", ".golangci.yml": ""}
    assert jobs(linted, "golangci-lint") == {"test": ["go build ./...", "go vet ./...", "go test ./..."], "lint": ["golangci-lint run"]}
    assert jobs(linted).keys() == {"test"}
    assert "golangci-lint is not installed here" in proposed(linted).notes[0]


def test_rust_builds_and_tests_by_its_lock_file_and_its_workspace() -> None:
    assert jobs({"Cargo.toml": "[package]\n"}) == {"test": ["cargo build", "cargo test"]}
    files = {"Cargo.toml": "[workspace]\nmembers = []\n", "Cargo.lock": "", "rustfmt.toml": ""}
    assert jobs(files) == {
        "test": ["cargo build --workspace --locked", "cargo test --workspace --locked"],
        "lint": ["cargo fmt --all --check"],
    }


@pytest.mark.parametrize(
    ("files", "command"),
    [
        ({"pom.xml": ""}, "mvn --batch-mode verify"),
        ({"pom.xml": "", "mvnw": ""}, "./mvnw --batch-mode verify"),
        ({"build.gradle": ""}, "gradle build"),
        ({"settings.gradle.kts": "", "gradlew": ""}, "./gradlew build"),
    ],
)
def test_maven_and_gradle_are_called_by_their_wrapper_where_it_is_there(files: dict[str, str], command: str) -> None:
    assert jobs(files) == {"test": [command]}


def test_a_makefile_alone_is_built_and_its_tests_are_run() -> None:
    assert jobs({"Makefile": MAKEFILE}) == {"test": ["make", "make test"]}
    assert jobs({"GNUmakefile": "check:\n\ttrue\n", "Makefile": MAKEFILE}) == {"test": ["make check"]}
    assert jobs({"Makefile": "all:\n\ttrue\n", "configure": ""}) == {"test": ["./configure", "make"]}


def test_a_makefile_without_tests_says_so() -> None:
    proposal = proposed({"Makefile": "all: a\na:\n\ttouch a\nclean:\n\trm a\n"})

    assert proposal.notes == ("Makefile has no target 'test', 'tests' or 'check', so nothing is tested: it has all, a, clean",)
    assert proposed({"Makefile": "install:\n\tcp a /\n"}).found == ()


def test_a_makefile_beside_a_stack_is_not_used_and_that_is_said() -> None:
    files = {"go.mod": "", "Makefile": MAKEFILE}

    assert jobs(files) == {"test": ["go build ./...", "go vet ./..."]}
    assert proposed(files).notes == ("Makefile is not used: Go says more about the project",)


def test_a_makefile_is_used_where_the_other_stack_comes_to_nothing() -> None:
    assert jobs({"package.json": package(), "Makefile": MAKEFILE}) == {"test": ["make", "make test"]}


def test_several_stacks_have_a_job_each() -> None:
    files = {"pyproject.toml": "[project]\nname='a'\n[tool.ruff]\n", "package.json": package(test="jest"), "go.mod": ""}

    assert list(jobs(files)) == ["python", "python-lint", "nodejs", "go"]


def test_folders_below_count_only_where_the_root_has_nothing() -> None:
    below = {"web/package.json": package(test="jest"), "services/api/go.mod": "module api\n"}

    assert list(jobs(below)) == ["web-nodejs", "services-api-go"]
    assert [found.by for found in proposed(below).found] == ["web/package.json", "services/api/go.mod"]
    assert list(jobs({**below, "Cargo.toml": ""})) == ["test"]


@pytest.mark.parametrize("folder", ["node_modules/x", "vendor/y", ".hidden", "a/b/c", "docs", "tests", "we`ird", "odd\udcff"])
def test_folders_that_are_somebody_elses_or_too_deep_are_left_alone(folder: str) -> None:
    assert proposed({f"{folder}/package.json": package(test="jest")}).found == ()


def test_a_project_inside_another_is_the_others() -> None:
    assert list(jobs({"web/package.json": package(test="jest"), "web/sub/package.json": package(test="jest")})) == ["test"]


def test_of_very_many_folders_some_are_taken_and_that_is_said() -> None:
    proposal = proposed({f"p{number}/go.mod": "" for number in range(12)})

    assert len(proposal.found) == 8
    assert proposal.notes == ("4 more folders are left out",)


def test_what_sparki_does_not_know_is_named() -> None:
    assert proposed({"CMakeLists.txt": ""}).notes == ("CMakeLists.txt is CMake's, which Sparki proposes nothing for",)
    assert proposed({"README.md": ""}) == Proposal(())


def test_only_few_files_are_asked_for() -> None:
    paths = [
        "package.json",
        "src/a.py",
        "web/package.json",
        "a/b/c/d/package.json",
        "requirements/dev.txt",
        "tests/conftest.py",
        "Makefile",
    ]

    assert wanted(paths) == ["package.json", "web/package.json", "requirements/dev.txt", "Makefile"]

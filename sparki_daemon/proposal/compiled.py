"""Go, Rust, Maven and Gradle: each has one way to build and test that its own tool knows."""

from __future__ import annotations

from sparki_daemon.proposal.found import Found, Job, Step, Tree

FILES = ("Cargo.toml",)
_MAVEN_REPORTS = ("**/target/surefire-reports/TEST-*.xml", "**/target/failsafe-reports/TEST-*.xml")
"""`reportsDirectory` of Surefire and Failsafe, the plugins that test in `verify`, as they set it by default."""
_GRADLE_REPORTS = ("**/build/test-results/**/TEST-*.xml",)
"""`junitXml` of Gradle's task Test, which it sets to build/test-results/TASK by default."""


def detect_go(tree: Tree) -> Found | None:
    """The proposal for a folder with a go.mod."""
    if "go.mod" not in tree:
        return None
    steps = [Step("go build ./...", "go.mod"), Step("go vet ./...", "go.mod")]
    if any(path.endswith("_test.go") for path in tree.paths):
        steps.append(Step("go test ./...", "files named *_test.go"))
    config = tree.first(".golangci.yml", ".golangci.yaml", ".golangci.toml")
    lint = (Job("lint", (Step("golangci-lint run", config),)),) if config and "golangci-lint" in tree.tools else ()
    notes = (f"{config}: golangci-lint is not installed here, so nothing is proposed for it",) if config and not lint else ()
    return Found(stack="Go", file="go.mod", jobs=(Job("test", tuple(steps)), *lint), notes=notes)


def detect_rust(tree: Tree) -> Found | None:
    """The proposal for a folder with a Cargo.toml."""
    if "Cargo.toml" not in tree:
        return None
    locked = " --locked" if "Cargo.lock" in tree else ""
    workspace = " --workspace" if "[workspace]" in tree.text("Cargo.toml") else ""
    why = "Cargo.toml" + (" and Cargo.lock" if locked else "") + (", which holds a workspace" if workspace else "")
    test = Job("test", (Step(f"cargo build{workspace}{locked}", why), Step(f"cargo test{workspace}{locked}", why)))
    style = tree.first("rustfmt.toml", ".rustfmt.toml")
    lint = (Job("lint", (Step("cargo fmt --all --check", style),)),) if style else ()
    return Found(stack="Rust", file="Cargo.toml", jobs=(test, *lint))


def detect_maven(tree: Tree) -> Found | None:
    """The proposal for a folder with a pom.xml."""
    if "pom.xml" not in tree:
        return None
    program, why = ("./mvnw", "pom.xml, and mvnw is there") if "mvnw" in tree else ("mvn", "pom.xml")
    verify = Step(f"{program} --batch-mode verify", why)
    return Found(stack="Maven", file="pom.xml", jobs=(Job("test", (verify,), _MAVEN_REPORTS),))


def detect_gradle(tree: Tree) -> Found | None:
    """The proposal for a folder with a Gradle build."""
    file = tree.first("build.gradle", "build.gradle.kts", "settings.gradle", "settings.gradle.kts")
    if not file:
        return None
    program, why = ("./gradlew", f"{file}, and gradlew is there") if "gradlew" in tree else ("gradle", file)
    build = Step(f"{program} build", f"{why}; 'build' compiles and tests")
    return Found(stack="Gradle", file=file, jobs=(Job("test", (build,), _GRADLE_REPORTS),))

"""What a commit's release is refused for, before there is one."""

from __future__ import annotations

import subprocess
from pathlib import Path

from sparki_daemon.engine.subsystems.releasing import Releasing
from sparki_daemon.loco.adapters import load
from sparki_daemon.model.problem import ExitCode, SparkiError

SETTINGS = "environments: {staging: {adapter: process, command: serve, listen: '127.0.0.1:8080', artifact: ARTIFACT}}\n"


async def refused(folder: Path, artifact: str, links: dict[str, str]) -> list[tuple[str, str, int]]:
    root = folder / "repo"
    root.mkdir()
    (root / "sparki.yml").write_text(SETTINGS.replace("ARTIFACT", artifact))
    for name, target in links.items():
        (root / name).symlink_to(target)
    who = ["-c", "user.name=Ann", "-c", "user.email=ann@example.com"]
    for words in (["init", "-q", "."], ["add", "."], [*who, "commit", "-qm", "first"]):
        subprocess.run(["git", *words], cwd=root, check=True)
    releasing = Releasing(str(folder / "home"), load)
    source = await releasing.shipped(str(root), "staging", None)
    try:
        await releasing.check(source, "p-1")
    except SparkiError as error:
        return [(problem.code, problem.message, error.exit_code) for problem in error.problems]
    return []


async def test_links_that_lead_out_of_the_tree_are_told_each_with_its_target_and_others_are_not(tmp_path: Path) -> None:
    found = await refused(tmp_path, "source", {"current": "/srv/shop", "up": "../up", "in": "./sparki.yml", "gone": "nowhere"})

    said = "a release has everything in it, and '{}' is a symbolic link that leads out of it, to '{}'"
    assert found == [
        ("link_leads_out", said.format("current", "/srv/shop"), ExitCode.USAGE),
        ("link_leads_out", said.format("up", "../up"), ExitCode.USAGE),
    ]


async def test_links_of_a_tree_that_is_not_shipped_itself_are_nobodys_business(tmp_path: Path) -> None:
    assert await refused(tmp_path, "build/site", {"current": "/srv/shop"}) == []

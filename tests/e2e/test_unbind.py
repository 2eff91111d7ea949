"""`sparki unbind` leaves the repository as it was, and `--pre-push` keeps a hook that was there."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from bound import CI, BoundShop, tree_of, until

OWN_HOOK = b"""#!/bin/sh
# my own
here=$(dirname "$0")
echo "own hook: $1" >&2
cat > "$here/../told"
exit "$(cat "$here/../exit" 2>/dev/null || echo 0)"
"""


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[BoundShop]:
    made = BoundShop(tmp_path)
    yield made
    made.end()


def origin(shop: BoundShop) -> Path:
    """Another remote, as a forge's would be."""
    path = shop.root.parent / "origin.git"
    subprocess.run(["git", "init", "-q", "--bare", str(path)], check=True)
    shop.git("remote", "add", "origin", str(path))
    return path


def own_hook(shop: BoundShop) -> Path:
    path = shop.root / ".git" / "hooks" / "pre-push"
    path.write_bytes(OWN_HOOK)
    path.chmod(0o711)
    return path


def rest(shop: BoundShop) -> dict[str, bytes]:
    """The repository without its objects."""
    return {name: data for name, data in tree_of(shop.root / ".git").items() if not name.startswith("objects/")}


def test_nothing_is_left_of_a_bind_that_was_pushed_to(shop: BoundShop) -> None:
    shop.sparki("unbind")
    before = rest(shop)
    shop.sparki("bind")
    shop.push("-u", "sparki", "main")
    assert rest(shop) != before

    assert shop.json("unbind")["removed"] is True

    assert rest(shop) == before
    assert not shop.bare.exists()
    assert shop.json("unbind", code=5)["error"]["code"] == "not_bound"


@pytest.mark.parametrize("ending", [b"", b"\n", b"\n\n# mine\n"])
def test_the_config_is_as_it_was_to_the_byte(shop: BoundShop, ending: bytes) -> None:
    shop.sparki("unbind")
    config = shop.root / ".git" / "config"
    config.write_bytes(b"[user]\n\tname = Ann\n" + config.read_bytes().rstrip(b"\n") + ending)
    before = config.read_bytes()
    shop.sparki("bind")

    shop.sparki("unbind")

    assert config.read_bytes() == before


def test_binding_again_changes_nothing_and_a_remote_of_another_address_is_left_alone(shop: BoundShop) -> None:
    config = (shop.root / ".git" / "config").read_bytes()
    again = shop.json("bind")
    assert (again["new"], again["address"]) == (False, str(shop.bare))
    assert (shop.root / ".git" / "config").read_bytes() == config
    assert shop.json("bind", "--name", "other", code=2)["error"]["code"] == "already_bound"

    shop.sparki("unbind")
    shop.git("remote", "add", "sparki", "/elsewhere")
    refused = shop.json("bind", code=2)["error"]
    assert (refused["code"], refused["hint"]) == ("remote_exists", "choose another name: sparki bind --name NAME")
    assert shop.json("bind", "--name", "live")["remote"] == "live"
    assert shop.git("remote", "get-url", "sparki") == "/elsewhere"


def test_a_remote_that_the_user_renamed_goes_too(shop: BoundShop) -> None:
    shop.git("remote", "rename", "sparki", "box")
    shop.push("box", "main")

    shop.sparki("unbind")

    assert (shop.root / ".git" / "config").read_bytes() == shop.before


def test_the_bare_repository_stays_until_what_runs_from_it_has_ended(shop: BoundShop) -> None:
    gate = shop.home / "gate"
    waits = f"      - run: until [ -e {gate} ]; do sleep 0.05; done\n"
    shop.write(".github/workflows/ci.yml", CI.replace("      - uses", waits + "      - uses"))
    shop.commit("a job that waits")
    shop.push("-o", "sparki.queue", "sparki", "main")

    assert shop.json("unbind")["removed"] is False
    assert shop.bare.exists()
    gate.touch()

    until(lambda: not shop.bare.exists())
    assert shop.wait_for(shop.deployments()[0]["id"], "live")
    assert [run["status"] for run in shop.runs()] == ["success"]


def test_a_pre_push_hook_runs_what_goes_to_that_remote_and_refuses_it_when_red(shop: BoundShop) -> None:
    path = origin(shop)
    hook = own_hook(shop)
    shop.sparki("bind", "--pre-push", "origin")

    said = shop.push("origin", "main")
    assert "own hook: origin" in said
    assert "✓ .github/workflows/ci.yml  success" in said
    assert (shop.root / ".git" / "told").read_text().startswith("refs/heads/main ")
    assert [run["status"] for run in shop.runs()] == ["success"]
    assert shop.deployments() == []

    shop.write("broken", "")
    shop.commit("break it")
    said = shop.push("origin", "main", code=1)
    assert "sparki: not pushed to origin: it is not green here (git push --no-verify pushes all the same)" in said
    there = subprocess.run(["git", "log", "-1", "--format=%s", "main"], cwd=path, capture_output=True, text=True, check=True)
    assert there.stdout.strip() == "pipelines"

    shop.sparki("unbind")
    assert (hook.read_bytes(), hook.stat().st_mode & 0o777) == (OWN_HOOK, 0o711)
    assert "sparki" not in shop.push("origin", "main")


def test_an_own_pre_push_hook_that_refuses_is_obeyed_first(shop: BoundShop) -> None:
    origin(shop)
    own_hook(shop)
    (shop.root / ".git" / "exit").write_text("3")
    shop.sparki("bind", "--pre-push", "origin")

    shop.push("origin", "main", code=1)

    assert shop.runs() == []


def test_other_remotes_are_pushed_to_without_a_run(shop: BoundShop) -> None:
    path = origin(shop)
    shop.sparki("bind", "--pre-push", "origin")
    subprocess.run(["git", "init", "-q", "--bare", f"{path}2"], check=True)
    shop.git("remote", "add", "second", f"{path}2")

    shop.push("second", "main")

    assert shop.runs() == []
    assert not (shop.root / ".git" / "hooks" / "pre-push.before-sparki").exists()


def test_hooks_that_lie_elsewhere_are_left_alone(shop: BoundShop) -> None:
    origin(shop)
    shop.git("config", "core.hooksPath", ".husky")

    assert shop.json("bind", "--pre-push", "origin", code=2)["error"]["code"] == "hooks_elsewhere"
    assert shop.json("bind", "--pre-push", "nowhere", code=5)["error"]["code"] == "no_such_remote"


def test_a_repository_that_was_moved_is_told(shop: BoundShop) -> None:
    moved = shop.root.parent / "moved"
    shop.root.rename(moved)
    shop.root = moved

    said = shop.push("sparki", "main")

    assert "the repository that this remote is bound to is no longer in" in said
    assert "git remote remove sparki, then sparki bind" in said


def test_ctrl_c_in_a_pre_push_run_cancels_it_and_pushes_nothing(shop: BoundShop) -> None:
    path = origin(shop)
    shop.sparki("bind", "--pre-push", "origin")
    shop.write(".github/workflows/ci.yml", CI + "      - run: sleep 600\n")
    shop.commit("slow")
    push = shop.pushing("origin", "main", start_new_session=True)
    until(lambda: any(run["status"] == "running" for run in shop.runs()))

    os.killpg(push.pid, signal.SIGINT)
    push.communicate(timeout=60)

    until(lambda: shop.runs()[0]["status"] == "cancelled")
    assert push.returncode
    assert not list((path / "refs" / "heads").iterdir())

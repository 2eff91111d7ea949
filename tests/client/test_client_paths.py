from __future__ import annotations

import pytest

from sparki_daemon.client.paths import SOCKET_LIMIT_BYTES, Paths, find_paths, socket_path
from sparki_daemon.model.problem import SparkiError


def found(environ: dict[str, str], cwd: str = "/work", account_home: str = "") -> Paths:
    return find_paths(environ, cwd=cwd, account_home=account_home)


def test_sparki_home_holds_everything() -> None:
    assert found({"SPARKI_HOME": "/tmp/s", "HOME": "/home/a", "XDG_STATE_HOME": "/x"}) == Paths("/tmp/s", "/tmp/s/config", "/tmp/s/cache")


@pytest.mark.parametrize(("given", "state"), [("s", "/work/s"), ("../s/", "/s"), ("/tmp//s/", "/tmp/s")])
def test_sparki_home_is_made_absolute(given: str, state: str) -> None:
    assert found({"SPARKI_HOME": given}).state == state


def test_without_it_the_xdg_folders_count() -> None:
    environ = {"HOME": "/home/a", "XDG_STATE_HOME": "/st", "XDG_CONFIG_HOME": "/co/", "XDG_CACHE_HOME": "/ca"}
    assert found(environ) == Paths("/st/sparki", "/co/sparki", "/ca/sparki")


@pytest.mark.parametrize("value", ["", "relative/state"])
def test_an_empty_or_relative_xdg_folder_is_ignored(value: str) -> None:
    paths = found({"HOME": "/home/a", "XDG_STATE_HOME": value, "SPARKI_HOME": ""})
    assert paths == Paths("/home/a/.local/state/sparki", "/home/a/.config/sparki", "/home/a/.cache/sparki")


def test_the_account_says_the_home_where_the_environment_does_not() -> None:
    assert found({}, account_home="/root").state == "/root/.local/state/sparki"


def test_no_home_at_all_is_an_error_that_says_what_to_set() -> None:
    with pytest.raises(SparkiError) as caught:
        found({})
    assert caught.value.problems[0].code == "no_home"
    assert "SPARKI_HOME" in caught.value.problems[0].hint


def test_the_socket_lies_in_the_state_folder() -> None:
    assert socket_path("/home/a/.local/state/sparki", uid=7) == "/home/a/.local/state/sparki/daemon.sock"


@pytest.mark.parametrize("letter", ["x", "é"])
def test_a_socket_path_over_the_limit_moves_to_a_short_folder_of_the_user(letter: str) -> None:
    room = SOCKET_LIMIT_BYTES - len("/daemon.sock")
    most = "/" + letter * ((room - 1) // len(letter.encode()))
    assert socket_path(most, uid=7) == f"{most}/daemon.sock"
    moved = socket_path(most + letter * 2, uid=7)
    assert moved.startswith("/tmp/sparki-7/")
    assert len(moved) < 50


def test_each_state_folder_has_a_socket_of_its_own() -> None:
    assert socket_path("/" + "x" * 200, uid=7) != socket_path("/" + "y" * 200, uid=7)
    assert socket_path("/" + "x" * 200, uid=7) == socket_path("/" + "x" * 200, uid=7)


def test_a_state_folder_that_is_no_text_has_an_address_too() -> None:
    assert socket_path("/" + "\udcff" * 120, uid=7).startswith("/tmp/sparki-7/")

"""What of the user's environment a job gets, and what is its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from sparki_daemon.runner.environment import choose, github_layer, host_layer, job_layer, runner_context, with_paths


def run(**keys) -> dict:
    return {"env": {}, "home": "job", "user_home": "/nobody", **keys}


@pytest.mark.parametrize(
    "name",
    [
        "PATH",
        "LANG",
        "LC_ALL",
        "https_proxy",
        "NO_PROXY",
        "SSL_CERT_FILE",
        "PIP_INDEX_URL",
        "npm_config_registry",
        "UV_INDEX_URL",
        "GOPROXY",
        "GOPRIVATE",
        "JAVA_HOME",
    ],
)
def test_what_a_job_may_have(name: str) -> None:
    assert choose({name: "x"}) == {name: "x"}


@pytest.mark.parametrize(
    "name",
    [
        "SSH_AUTH_SOCK", "GITHUB_TOKEN", "AWS_ACCESS_KEY_ID", "AWS_PROFILE", "UV_PUBLISH_TOKEN", "NPM_CONFIG__AUTH",
        "npm_config_//registry/:_authToken", "PIP_PASSWORD", "UV_INDEX_MINE_PASSWORD", "HOME", "PS1", "LD_PRELOAD", "PYTHONPATH", "GIT_DIR",
        "EDITOR", "DBUS_SESSION_BUS_ADDRESS", "KUBECONFIG",
    ],
)  # fmt: skip
def test_what_a_job_may_not_have(name: str) -> None:
    assert choose({name: "x"}) == {}


def test_an_active_virtual_environment_is_taken_out_of_path() -> None:
    assert choose({"PATH": "/p/.venv/bin:/usr/bin", "VIRTUAL_ENV": "/p/.venv"}) == {"PATH": "/usr/bin"}


def test_a_virtual_environment_that_is_only_in_path_is_taken_out_too(tmp_path: Path) -> None:
    (tmp_path / "venv" / "bin").mkdir(parents=True)
    (tmp_path / "venv" / "pyvenv.cfg").touch()
    (tmp_path / "other" / "bin").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "venv" / "bin")

    path = f"{tmp_path}/venv/bin:{tmp_path}/other/bin:{tmp_path}/venv/bin/:/usr/bin:{tmp_path}/link:/nowhere"

    assert choose({"PATH": path})["PATH"] == f"{tmp_path}/other/bin:/usr/bin:/nowhere"


def test_an_active_virtual_environment_is_taken_out_however_its_folder_is_written() -> None:
    assert choose({"PATH": "/p/.venv/bin/:/usr/bin", "VIRTUAL_ENV": "/p/.venv/"})["PATH"] == "/usr/bin"


def test_a_path_of_folders_is_left_as_it_is() -> None:
    assert choose({"PATH": "/usr/bin::bin:/bin"})["PATH"] == "/usr/bin::bin:/bin"


def test_a_job_has_its_own_home_and_the_users_caches() -> None:
    env = {**host_layer(run(env={"PATH": "/bin", "XDG_CACHE_HOME": "/c"})), **job_layer(run(), "/w")}

    assert env["HOME"] == "/w/home"
    assert env["GIT_CONFIG_GLOBAL"] == "/w/home/.gitconfig"
    assert env["TMPDIR"] == "/w/tmp"
    assert env["PIP_CACHE_DIR"] == "/c/pip"
    assert env["XDG_CACHE_HOME"] == "/w/home/.cache"
    assert (env["TZ"], env["LANG"]) == ("UTC", "C.UTF-8")


def test_what_the_client_says_of_a_cache_rules_in_whatever_case() -> None:
    env = host_layer(run(env={"NPM_CONFIG_CACHE": "/n", "PIP_CACHE_DIR": "/p"}))

    assert (env["NPM_CONFIG_CACHE"], env["PIP_CACHE_DIR"]) == ("/n", "/p")
    assert "npm_config_cache" not in env


def test_what_is_not_there_is_not_named(tmp_path: Path) -> None:
    (tmp_path / ".cargo").mkdir()
    (tmp_path / ".pip").mkdir()
    (tmp_path / ".pip" / "pip.conf").touch()
    env = host_layer(run(user_home=str(tmp_path)))

    assert env["CARGO_HOME"] == str(tmp_path / ".cargo")
    assert env["PIP_CONFIG_FILE"] == str(tmp_path / ".pip" / "pip.conf")
    assert "RUSTUP_HOME" not in env


def test_a_client_without_a_home_has_no_caches() -> None:
    assert [value for value in host_layer(run(user_home="")).values() if value.startswith("/.")] == []


def test_a_run_may_ask_for_the_users_own_home() -> None:
    of_user = run(home="user", user_home="/home/me", env={"PATH": "/bin", "XDG_CONFIG_HOME": "/x"})
    env = {**host_layer(of_user), **job_layer(of_user, "/w")}

    assert env["HOME"] == "/home/me"
    assert env["XDG_CONFIG_HOME"] == "/x"
    assert "GIT_CONFIG_GLOBAL" not in env
    assert "PIP_CACHE_DIR" not in env


def test_the_github_context_becomes_variables() -> None:
    context = {"sha": "abc", "run_number": 7, "ref_protected": False, "token": "t", "event": {"a": 1}, "head_ref": "", "actor": None}

    assert github_layer(context) == {
        "GITHUB_SHA": "abc",
        "GITHUB_RUN_NUMBER": "7",
        "GITHUB_REF_PROTECTED": "false",
        "GITHUB_HEAD_REF": "",
        "GITHUB_ACTIONS": "true",
    }


def test_the_runner_context_says_where_things_are() -> None:
    context = runner_context("r1", "/w", "/t")

    assert (context["name"], context["temp"], context["environment"]) == ("r1", "/t", "self-hosted")


@pytest.mark.parametrize(("path", "expected"), [("/bin", "/two:/one:/bin"), ("", "/two:/one"), (None, "/two:/one")])
def test_added_folders_come_first_the_newest_foremost(path: str | None, expected: str) -> None:
    env = {} if path is None else {"PATH": path}
    with_paths(env, ["/one", "/two"])

    assert env["PATH"] == expected


def test_an_address_with_credentials_in_it_is_not_let_in():
    given = {
        "PIP_INDEX_URL": "https://me:word@example.com/simple",
        "HTTPS_PROXY": "http://me@example.com:8080",
        "UV_INDEX": "https://example.com/@x",
    }

    assert choose(given) == {"UV_INDEX": "https://example.com/@x"}

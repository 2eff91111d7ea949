"""A project's secrets: kept whole, sealed, and told apart, whoever writes and whoever is killed."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from sparki_daemon.model.problem import SparkiError
from sparki_daemon.vault import keyrings
from sparki_daemon.vault.names import checked
from sparki_daemon.vault.sealing import Sealer
from sparki_daemon.vault.store import Secrets

BACKEND = """\
import json, os
import keyring.backend
class FileRing(keyring.backend.KeyringBackend):
    priority = 5
    name = "files of a test"
    path = os.environ["RING_FILE"]
    def _all(self):
        return json.load(open(self.path)) if os.path.exists(self.path) else {}
    def get_password(self, service, username):
        if os.path.exists(self.path + ".locked"):
            raise RuntimeError("locked")
        return self._all().get(service + "|" + username)
    def set_password(self, service, username, password):
        if os.path.exists(self.path + ".locked"):
            raise RuntimeError("locked")
        json.dump(self._all() | {service + "|" + username: password}, open(self.path, "w"))
    def delete_password(self, service, username):
        left = self._all()
        del left[service + "|" + username]
        json.dump(left, open(self.path, "w"))
"""


@pytest.fixture(autouse=True)
def without_keyring(monkeypatch) -> None:
    monkeypatch.setenv("SPARKI_KEYRING", "off")


@pytest.fixture
def store(tmp_path) -> Secrets:
    return Secrets(str(tmp_path))


def refused(do, *arguments) -> str:
    with pytest.raises(SparkiError) as caught:
        do(*arguments)
    return caught.value.problems[0].code


def test_what_was_put_is_given_back_and_lies_nowhere_in_plain(store: Secrets, tmp_path: Path) -> None:
    assert store.put("/p", "TOKEN", "s3cr3t-é\n2") == "vault"

    assert store.values("/p", ["TOKEN", "OTHER"]) == {"TOKEN": "s3cr3t-é\n2"}
    assert store.places("/p") == {"TOKEN": "vault"}
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and b"s3cr3t" in path.read_bytes()]
    assert {path.stat().st_mode & 0o077 for path in tmp_path.rglob("*")} == {0}


def test_projects_do_not_see_each_other(store: Secrets) -> None:
    store.put("/p", "A", "1")
    store.put("/q", "B", "2")

    assert store.places("/p") == {"A": "vault"}
    assert store.values("/p", ["A", "B"]) == {"A": "1"}


def test_a_value_that_was_moved_to_another_name_or_project_does_not_open(store: Secrets) -> None:
    store.put("/p", "A", "1")
    found = json.loads(Path(store.path).read_text())
    found["projects"]["/q"] = {"A": found["projects"]["/p"]["A"]}
    Path(store.path).write_text(json.dumps(found))

    assert refused(store.values, "/q", ["A"]) == "vault_key"


def test_a_removed_secret_is_gone(store: Secrets) -> None:
    store.put("/p", "A", "1")
    store.remove("/p", "A")

    assert store.places("/p") == {}
    assert refused(store.remove, "/p", "A") == "no_such_secret"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 2, "projects": {}}', '{"format": 1, "projects": {"/p": 1}}'])
def test_a_broken_vault_is_told_and_never_overwritten(store: Secrets, text: str) -> None:
    store.put("/p", "A", "1")
    Path(store.path).write_text(text)

    assert refused(store.places, "/p") == "vault_corrupt"
    assert refused(store.put, "/p", "B", "2") == "vault_corrupt"
    assert Path(store.path).read_text() == text


@pytest.mark.parametrize("key", [None, b"short", b"x" * 32])
def test_a_key_that_is_gone_or_another_is_told(store: Secrets, key: bytes | None) -> None:
    store.put("/p", "A", "1")
    path = Path(store.folder, "key")
    path.unlink()
    if key is not None:
        path.write_bytes(key)

    assert refused(store.values, "/p", ["A"]) == "vault_key"


def test_equal_values_do_not_look_equal(tmp_path: Path) -> None:
    sealer = Sealer(str(tmp_path))

    assert sealer.seal(b"same", "a") != sealer.seal(b"same", "a")


def write_many(state: str, writer: int) -> None:
    for number in range(20):
        Secrets(state).put("/p", f"W{writer}_{number}", f"value {writer} {number}")


def test_of_writers_at_once_none_loses_what_another_wrote(store: Secrets, tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=write_many, args=(str(tmp_path), writer)) for writer in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    names = [f"W{writer}_{number}" for writer in range(3) for number in range(20)]
    assert sorted(store.places("/p")) == sorted(names)
    assert store.values("/p", names)["W2_19"] == "value 2 19"


def test_a_writer_killed_at_any_moment_leaves_a_vault_that_opens(store: Secrets, tmp_path: Path) -> None:
    store.put("/p", "FIRST", "kept")
    script = textwrap.dedent("""
        import sys
        from sparki_daemon.vault.store import Secrets
        store, number = Secrets(sys.argv[1]), 0
        print("up", flush=True)
        while True:
            store.put("/p", f"N{number % 7}", "v" * (number % 5000))
            number += 1
    """)
    for turn in range(12):
        writer = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE)
        assert writer.stdout
        writer.stdout.readline()
        time.sleep(0.01 + 0.007 * turn)  # each is killed at another place of its work
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()

        places = store.places("/p")
        assert store.values("/p", places).keys() == places.keys()
        assert store.values("/p", ["FIRST"]) == {"FIRST": "kept"}
    store.put("/p", "LAST", "1")
    assert not [name for name in os.listdir(store.folder) if name.endswith(".tmp")]


def in_ring(tmp_path: Path, code: str) -> str:
    """What a program prints whose keyring is one of this test's."""
    (tmp_path / "ring_of_test.py").write_text(BACKEND)
    env = {name: value for name, value in os.environ.items() if name != keyrings.SWITCH}
    env |= {"PYTHONPATH": str(tmp_path), "PYTHON_KEYRING_BACKEND": "ring_of_test.FileRing", "RING_FILE": str(tmp_path / "ring")}
    head = f"from sparki_daemon.vault.store import Secrets\nstore = Secrets({str(tmp_path / 'state')!r})\n"
    return subprocess.run([sys.executable, "-c", head + code], env=env, check=True, capture_output=True, text=True).stdout


def test_where_there_is_a_keyring_the_values_are_in_it_alone(tmp_path: Path) -> None:
    assert in_ring(tmp_path, "print(store.put('/p', 'A', 'ringed'), store.values('/p', ['A']), store.places('/p'))") == (
        "keyring {'A': 'ringed'} {'A': 'keyring'}\n"
    )
    assert "ringed" in (tmp_path / "ring").read_text()
    assert b"ringed" not in (tmp_path / "state/secrets/vault.json").read_bytes()
    in_ring(tmp_path, "store.remove('/p', 'A')")
    assert json.loads((tmp_path / "ring").read_text()) == {}


def test_a_keyring_that_refuses_makes_way_for_the_vault_and_its_values_are_told_as_locked(tmp_path: Path) -> None:
    in_ring(tmp_path, "store.put('/p', 'A', 'ringed')")
    (tmp_path / "ring.locked").touch()

    assert in_ring(tmp_path, "print(store.put('/p', 'B', 'x'))") == "vault\n"
    told = in_ring(tmp_path, "try: store.values('/p', ['A'])\nexcept Exception as error: print(error.problems[0].code, error)")
    assert told.startswith("keyring_failed")
    assert "locked" in told


@pytest.mark.parametrize(("word", "name"), [("db_url", "DB_URL"), ("_A1", "_A1"), ("github_token", "GITHUB_TOKEN")])
def test_names_are_upper_case(word: str, name: str) -> None:
    assert checked(word) == name


@pytest.mark.parametrize("word", ["", "1A", "A B", "A-B", "GITHUB_X", "Ä", "A" * 201])
def test_what_github_refuses_as_a_name_is_refused(word: str) -> None:
    assert refused(checked, word) == "bad_secret_name"


def test_a_value_on_the_command_line_is_refused_and_not_told() -> None:
    with pytest.raises(SparkiError) as caught:
        checked("TOKEN=hunter2")

    assert caught.value.problems[0].code == "secret_on_command_line"
    assert "hunter2" not in f"{caught.value.problems}"

"""Which programs, ports and paths a script names."""

from __future__ import annotations

import pytest

from sparki_daemon.pipeline.script import ports, programs, temp_paths


def words(script: str) -> list[str]:
    return [word for word, _ in programs(script)]


@pytest.mark.parametrize(
    ("script", "called"),
    [
        ("make test", ["make"]),
        ("a && b || c; d | e & f", ["a", "b", "c", "d", "e", "f"]),
        ("A=1 B='x y' C=\"z\" D=$E make", ["make"]),
        ("A=$(git describe)", ["git"]),
        ("echo `date` $(id -u)", ["echo", "date", "id"]),
        ("if ! docker ps; then docker pull x; fi", ["docker", "docker", "fi"]),
        ("while true; do helm lint; done", ["true", "helm", "done"]),
        ("(cd a && cargo build)", ["cd", "cargo"]),
        ("{ make; }", ["make"]),
        ("find . | xargs -n1 jq", ["find", "jq"]),
        ("env -i A=b make", ["make"]),
        ("command -v jq >/dev/null", ["command"]),
        ("command jq", ["jq"]),
        ("./own/script.sh; /usr/bin/make; $TOOL x", []),
        ("# make\nx # make", ["x"]),
        ("echo a#b", ["echo"]),
        ("cat <<EOF\nmake\nEOF\nls", ["cat", "ls"]),
        ("cat <<-'END' > x\n\tmake\n\tEND\nls", ["cat", "ls"]),
        ("", []),
    ],
)
def test_a_program_is_what_stands_where_a_command_begins(script: str, called: list[str]) -> None:
    assert words(script) == called


def test_what_sudo_runs_is_called_too() -> None:
    assert sorted(words("sudo -E apt-get update && A=1 sudo DEBIAN_FRONTEND=x dpkg -i a")) == ["apt-get", "dpkg", "sudo", "sudo"]


def test_each_word_is_told_with_its_place() -> None:
    script = "set -e\n  A=1 make && $(jq .)\n"

    assert [script[offset:].startswith(word) for word, offset in programs(script)] == [True, True, True]


@pytest.mark.parametrize(
    ("script", "numbers"),
    [
        ("python -m http.server 8000", ["8000"]),
        ("flask run --port 5000 & curl localhost:5001/a", ["5000", "5001"]),
        ("uvicorn a --port=80", ["80"]),
        ("PORT=3000 npm start", ["3000"]),
        ("gunicorn --bind 0.0.0.0:9000", ["9000"]),
        ("nc --listen :7000", ["7000"]),
        ("flask run --port 0", []),
        ("flask run --port $PORT", []),
        ("echo 8000 a:8000 EXPORT=80", []),
    ],
)
def test_a_port_is_a_number_that_a_program_is_told_to_use(script: str, numbers: list[str]) -> None:
    assert [word for word, _ in ports(script)] == numbers


@pytest.mark.parametrize(
    ("script", "paths"),
    [
        ("cp a /tmp/b.txt", ["/tmp/b.txt"]),
        ("x > /tmp/log; y --out=/tmp/o", ["/tmp/log", "/tmp/o"]),
        ("mkdir '/tmp/a b'", ["/tmp/a"]),
        ("d=/tmp/$ID", []),
        ("ls /tmp /var/tmp/a $X/tmp/b", []),
    ],
)
def test_a_path_in_tmp_is_fixed_when_its_first_part_is(script: str, paths: list[str]) -> None:
    assert [word for word, _ in temp_paths(script)] == paths

"""Which files patterns name, and the digest of them."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from driver import Driver, step

from sparki_daemon.pipeline.expression.error import ExpressionError
from sparki_daemon.runner import hash_files as hash_files_module
from sparki_daemon.runner.file_patterns import BadPattern, beginnings, find
from sparki_daemon.runner.hash_files import hash_files


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    base = tmp_path / "work[1]"  # a name that would be a pattern
    for name in ("a.txt", "B.txt", ".dot/in.txt", "src/x.py", "src/deep/y.py", "src/deep/z.txt", "sp ace/q.txt", "star*/s.txt"):
        (base / name).parent.mkdir(parents=True, exist_ok=True)
        (base / name).write_text(name)
    os.symlink("src", base / "link")
    os.symlink("nowhere", base / "broken")
    return base


def names(base: Path, text: str, **options: object) -> list[str]:
    return [os.path.relpath(path, base) for path in find(text, str(base), **options)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a.txt", ["a.txt"]),
        ("./a.txt", ["a.txt"]),
        ("  a.txt  \n\n# b.txt", ["a.txt"]),
        ("*.txt", ["B.txt", "a.txt"]),
        ("?.txt", ["B.txt", "a.txt"]),
        ("[ab].txt", ["a.txt"]),
        ("[!b].txt", ["B.txt", "a.txt"]),
        ("**/*.py", ["src/deep/y.py", "src/x.py"]),
        ("src", ["src/deep/y.py", "src/deep/z.txt", "src/x.py"]),
        ("src/", ["src/deep/y.py", "src/deep/z.txt", "src/x.py"]),
        ("src/**", ["src/deep/y.py", "src/deep/z.txt", "src/x.py"]),
        ("src\n!src/deep", ["src/x.py"]),
        ("src\n!**/*.py\nsrc/x.py", ["src/deep/z.txt", "src/x.py"]),
        ("!src", []),
        ("src/deep/y.py\na.txt", ["src/deep/y.py", "a.txt"]),
        ("src/x.py\nsrc", ["src/deep/y.py", "src/deep/z.txt", "src/x.py"]),
        ("a.txt/", []),
        ("sp ace", ["sp ace/q.txt"]),
        (r"star\*/s.txt", ["star*/s.txt"]),
        ("star[*]/s.txt", ["star*/s.txt"]),
        ("**/in.txt", [".dot/in.txt"]),
        ("{a,B}.txt", []),
        ("link", ["link"]),
        ("A.TXT", []),
    ],
)
def test_patterns_name_files_as_githubs_do(tree: Path, text: str, found: list[str]) -> None:
    assert names(tree, text, folders=False) == found


def test_folders_are_given_before_what_is_in_them(tree: Path) -> None:
    assert names(tree, "src/**") == ["src", "src/deep", "src/deep/y.py", "src/deep/z.txt", "src/x.py"]
    assert names(tree, "src", implied=False) == ["src"]
    assert names(tree, "s*/", implied=False) == ["sp ace", "src", "star*"]


def test_links_are_entered_only_when_asked_and_never_in_circles(tree: Path) -> None:
    os.symlink("..", tree / "src" / "up")

    assert names(tree, "link/*.py", folders=False) == []
    assert names(tree, "link/*.py", folders=False, follow=True) == ["link/x.py"]
    assert "broken" in names(tree, "*", folders=False)
    assert "broken" not in names(tree, "*", folders=False, follow=True)


def test_hidden_names_can_be_left_out_with_all_that_is_in_them(tree: Path) -> None:
    (tree / "src" / ".env").write_text("x")

    assert names(tree, ".dot\nsrc", folders=False, hidden=False) == ["src/deep/y.py", "src/deep/z.txt", "src/x.py"]


def test_a_search_begins_where_the_literal_part_of_a_pattern_ends(tree: Path) -> None:
    base = str(tree)

    assert beginnings("src/deep/*.py\nsrc/**\na.txt\n!x", base) == [f"{base}/src", f"{base}/a.txt"]
    assert beginnings("~/x", base, home="/home/me") == ["/home/me/x"]


@pytest.mark.parametrize("text", ["../x", "a/../b", "a/./b", "!"])
def test_a_pattern_that_github_refuses_is_refused(tree: Path, text: str) -> None:
    with pytest.raises(BadPattern, match="is no pattern"):
        list(find(text, str(tree)))


def digest(*texts: str) -> str:
    return hashlib.sha256(b"".join(hashlib.sha256(text.encode()).digest() for text in texts)).hexdigest()


def test_a_digest_is_that_of_the_files_binary_digests_in_order(tree: Path) -> None:
    base = str(tree)

    assert hash_files(base, "", "**/*.py") == digest("src/deep/y.py", "src/x.py")
    assert hash_files(base, "", "a.txt", "B.txt") == digest("a.txt", "B.txt")
    assert hash_files(base, "", "none*") == ""
    assert hash_files(base, "", "link/*.py") == ""
    assert hash_files(base, "", "--follow-symbolic-links", "link/*.py") == digest("src/x.py")
    assert hash_files(base, "", "broken", "src", "!**/*.txt") == digest("src/deep/y.py", "src/x.py")


def test_files_outside_of_the_workspace_do_not_count(tree: Path) -> None:
    (tree.parent / "outside").write_text("x")

    assert hash_files(str(tree), "", f"{tree.parent}/outside") == ""


@pytest.mark.parametrize(("arguments", "message"), [(("../x",), "is no pattern"), (("--follow", "x"), "no option '--follow'")])
def test_a_bad_argument_is_told(tree: Path, arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(ExpressionError, match=message):
        hash_files(str(tree), "", *arguments)


def test_steps_have_hash_files_in_every_key(runner: Driver) -> None:
    done = runner.do(
        "printf x > lock; mkdir sub; printf y > sub/lock",
        step("echo $KEY = ${{ hashFiles('**/lock') }}", env={"KEY": "${{ hashFiles('lock') }}"}, if_="hashFiles('none') == ''"),
        step("true", name="${{ hashFiles('../x') }}"),
    )

    assert done.text(1).splitlines()[-1] == f"{digest('x')} = {digest('x', 'y')}"
    assert done.conclusions == ["success", "success", "failure"]
    assert "hashFiles: '../x' is no pattern" in done.text(2)


def test_a_digest_that_takes_too_long_fails(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hash_files_module, "MOST_S", 0.05)
    with open(tree / "large", "wb") as file:
        file.truncate(1 << 40)  # it has no blocks on the disk

    with pytest.raises(ExpressionError, match="took more than"):
        hash_files(str(tree), "", "large")

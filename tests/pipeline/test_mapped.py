"""Which repository a `uses` names."""

from __future__ import annotations

import pytest

from sparki_daemon.pipeline.mapped import Remote, is_mapped, remote


@pytest.mark.parametrize(
    ("uses", "named"),
    [
        ("Octo/Tools@v1", Remote("Octo/Tools", "", "v1")),
        ("octo/tools/a/B@feature/x", Remote("octo/tools", "a/B", "feature/x")),
        ("octo/tools\\\\a@v1", Remote("octo/tools", "a", "v1")),
        ("./octo/tools", None),
        ("docker://octo/tools@sha256", None),
        ("octo/tools", None),
        ("tools@v1", None),
        ("octo/tools/../../x@v1", None),
        ("octo/tools@../../x", None),
    ],
)
def test_a_remote_action_is_its_repository_path_and_ref_within_it(uses: str, named: Remote | None) -> None:
    assert remote(uses) == named


def test_repositories_are_equal_ignoring_case() -> None:
    assert is_mapped("OCTO/Tools/x@v1", {"octo/tools"})
    assert not is_mapped("octo/other@v1", {"octo/tools"})

"""The table of actions that need no network."""

from __future__ import annotations

import pytest

from sparki_daemon.pipeline.actions import HONOURED, NATIVE, action_name, is_local, native


@pytest.mark.parametrize(
    ("uses", "name"),
    [
        ("actions/checkout@v4", "actions/checkout"),
        ("Actions/Checkout@v4", "actions/checkout"),
        ("actions/cache/restore@0123abc", "actions/cache/restore"),
        ("actions\\cache\\save@v4", "actions/cache/save"),
        ("./own", ""),
        ("docker://alpine:3", ""),
        ("$/own", ""),
        ("checkout@v4", ""),
        ("actions/checkout", ""),
        ("actions/checkout@v4@x", ""),
    ],
)
def test_an_action_is_named_by_owner_and_repository_whatever_its_version(uses: str, name: str) -> None:
    assert action_name(uses) == name


def test_a_path_of_the_workspace_is_a_local_action() -> None:
    assert is_local("./a/b")
    assert is_local(".\\a")
    assert not is_local("a/b@v1")
    assert not is_local("../a")


def test_every_native_action_is_found_by_its_own_name() -> None:
    for name, action in NATIVE.items():
        assert native(f"{name}@v9") is action
    assert native("actions/unknown@v1") is None


def test_an_input_is_honoured_or_has_a_reason_that_can_be_shown() -> None:
    for action in NATIVE.values():
        assert action.inputs
        assert set(action.elsewhere) <= action.inputs.keys()
        for why in action.inputs.values():
            assert why == HONOURED or len(why.split()) > 2


def test_inputs_are_what_the_actions_own_files_call_them() -> None:
    assert native("actions/cache@v4").inputs["restore-keys"] == HONOURED
    assert native("actions/cache@v4").inputs["enableCrossOsArchive"] != HONOURED
    assert native("actions/checkout@v4").inputs["token"] != HONOURED
    assert "run-id" in native("actions/download-artifact@v4").elsewhere

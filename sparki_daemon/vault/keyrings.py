"""The door to the system's keyring, by way of the `keyring` package. It takes 0.3 s to open: only what is kept there pays."""

from __future__ import annotations

import os

from sparki_daemon.model.problem import Problem, SparkiError

SWITCH = "SPARKI_KEYRING"  # "off": the vault is used even where there is a keyring
_SERVICE = "sparki"


def usable() -> bool:
    """Whether there is a keyring that the package recommends. It may still be locked, or refuse."""
    if os.environ.get(SWITCH, "").lower() == "off":
        return False
    import keyring  # noqa: PLC0415

    try:
        return float(keyring.get_keyring().priority) >= 1
    except Exception:  # a backend's own trouble; there are many kinds
        return False


def described() -> str:
    """What the keyring is called, for people."""
    import keyring  # noqa: PLC0415

    return str(keyring.get_keyring().name)


def put(project: str, name: str, value: str) -> bool:
    """Keep a value; False: the keyring took nothing, or gives something else back."""
    import keyring  # noqa: PLC0415

    try:
        keyring.set_password(_SERVICE, _entry(project, name), value)
        return keyring.get_password(_SERVICE, _entry(project, name)) == value
    except Exception:
        return False


def get(project: str, name: str) -> str:
    """A value that was put there. Raises SparkiError `keyring_failed`."""
    import keyring  # noqa: PLC0415

    try:
        value = keyring.get_password(_SERVICE, _entry(project, name))
    except Exception as error:
        raise _failed(name, f"{type(error).__name__}: {error}") from None
    if value is None:
        raise _failed(name, "it has no such entry")
    return value


def delete(project: str, name: str) -> None:
    """Remove a value; one that is gone is no error."""
    import contextlib  # noqa: PLC0415

    import keyring  # noqa: PLC0415

    with contextlib.suppress(Exception):
        keyring.delete_password(_SERVICE, _entry(project, name))


def _entry(project: str, name: str) -> str:
    return f"{name} {project}"


def _failed(name: str, why: str) -> SparkiError:
    hint = f"unlock the keyring, or set the secret again: sparki secret set {name}"
    return SparkiError(Problem(code="keyring_failed", message=f"the keyring does not give the secret '{name}': {why}", hint=hint))

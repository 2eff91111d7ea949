"""Encrypts values with a key that lies beside them in a 0600 file.

That protects copies: a backup, a synced folder, a file that is shown to somebody. It does not protect against this user's own account,
which can read the key.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from sparki_daemon.model.problem import Problem, SparkiError
from sparki_daemon.system import files

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
_NONCE_BYTES = 12  # Source: NIST SP 800-38D, 8.2: a random nonce of 96 bits


class Sealer:
    """Seals and opens with the key file in `folder`, which is made when something is sealed first. Calls hold the folder's lock."""

    def __init__(self, folder: str) -> None:
        self._path = os.path.join(folder, "key")

    def seal(self, data: bytes, about: str) -> bytes:
        """`data`, encrypted; it opens only with the same `about`. Raises OSError, SparkiError `vault_key`."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + _cipher(self._key(make=True)).encrypt(nonce, data, about.encode("utf-8", "surrogateescape"))

    def open(self, sealed: bytes, about: str) -> bytes:
        """What was sealed as `about`. Raises OSError, SparkiError `vault_key` where the key is gone or another one."""
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415  # 40 ms that only runs with secrets pay

        key = self._key(make=False)
        try:
            return _cipher(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], about.encode("utf-8", "surrogateescape"))
        except (InvalidTag, ValueError):
            raise _key_problem(f"{self._path} is not the key that this was encrypted with, or it was changed") from None

    def _key(self, *, make: bool) -> bytes:
        try:
            with open(self._path, "rb") as file:
                key = file.read()
        except FileNotFoundError:
            if not make:
                raise _key_problem(f"the key {self._path} is gone") from None
            key = os.urandom(KEY_BYTES)
            files.write_atomic(self._path, key)
        if len(key) != KEY_BYTES:
            raise _key_problem(f"{self._path} is no key: it has {len(key)} bytes instead of {KEY_BYTES}")
        return key


def _cipher(key: bytes) -> AESGCM:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM as Cipher  # noqa: N811, PLC0415  # 40 ms that only runs with secrets pay

    return Cipher(key)


def _key_problem(message: str) -> SparkiError:
    hint = "restore it from where the state folder was copied from, or move the folder away and set the secrets again"
    return SparkiError(Problem(code="vault_key", message=message, hint=hint))

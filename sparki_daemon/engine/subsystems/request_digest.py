"""What tells two requests that bear one idempotency key apart."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sparki_daemon.system.digest import blake2b


def request_digest(request: Mapping[str, Any]) -> str:
    """A digest of a request.

    The environment's variables of who asks don't count, nor where branches stood beside a push: the next try may see others. Of secrets
    the names alone do: a digest of a short value could be guessed.
    """
    told = {key: value for key, value in request.items() if key != "env"}
    if "secrets" in told:
        told["secrets"] = sorted(told["secrets"])
    if told.get("pushed"):
        told["pushed"] = {key: value for key, value in told["pushed"].items() if key != "others"}
    return blake2b(json.dumps(told, sort_keys=True).encode(), 16)

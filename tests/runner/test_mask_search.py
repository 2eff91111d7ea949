"""The search is exact in output of any nature, and when its nature changes."""

from __future__ import annotations

import base64
import random
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparki_daemon.runner.mask import Masker
from sparki_daemon.runner.mask_search import CHUNK_BYTES, Search

CHANCE = random.Random(3)
LETTERS = string.ascii_letters + string.digits
WORDS = ["".join(CHANCE.choices(string.ascii_lowercase, k=6)) for _ in range(400)]
NATURES = {
    "prose": lambda size: " ".join(CHANCE.choices(WORDS, k=size // 7 + 1))[:size].encode(),
    "base64": lambda size: base64.b64encode(CHANCE.randbytes(size))[:size],
    "one letter": lambda size: b"Q" * size,
    "binary": CHANCE.randbytes,
}
SECRETS = ["ghp_16C7e42F292c6912E7710c838347Ae178B4a", "AKIAIOSFODNN7EXAMPLE", "p&ss'w<rd%9-long"]
KEY = "\n".join("".join(CHANCE.choices(LETTERS, k=64)) for _ in range(30))


def planted(nature: str, secrets: list[str]) -> tuple[bytes, bytes]:
    """200 KB of a nature with every secret in it, in some form, and what must be seen of it."""
    data, seen = b"", b""
    for secret in CHANCE.sample(secrets, len(secrets)):
        filler = NATURES[nature](200_000 // len(secrets)) + b" "
        forms = [secret.encode(), base64.b64encode(secret.encode())]
        data += filler + CHANCE.choice(forms) + b" "
        seen += filler + b"*** "
    return data, seen


@pytest.mark.parametrize("first", NATURES)
@pytest.mark.parametrize("then", NATURES)
@pytest.mark.parametrize("secrets", [SECRETS, [*SECRETS, KEY, *KEY.split("\n")]], ids=["few", "many"])
def test_no_secret_is_missed_when_output_changes_its_nature(first: str, then: str, secrets: list[str]) -> None:
    masker, shown, expected = Masker(secrets), b"", b""
    for nature in (first, then, first):
        data, seen = planted(nature, secrets)
        shown += b"".join(masker.feed(data[at : at + CHUNK_BYTES]) for at in range(0, len(data), CHUNK_BYTES))
        expected += seen

    assert shown + masker.flush() == expected


@given(st.lists(st.text("abQ9", min_size=1, max_size=12), min_size=1, max_size=6), st.integers(0, 2**32), st.booleans())
@settings(max_examples=25, deadline=None)
def test_every_place_is_found_even_of_patterns_inside_each_other(texts: list[str], seed: int, rare: bool) -> None:
    chance = random.Random(seed)
    filler = "." * 900 if rare else ""
    data = "".join(filler + "".join(chance.choices("abQ9", k=20)) for _ in range(40 if rare else 900)).encode()
    search = Search({text.encode(): text[: max(1, len(text) - 2)].encode() for text in texts})

    found = search.spans(data)

    expected = []
    for text in {text.encode() for text in texts}:
        at = data.find(text)
        while at != -1:
            expected.append((at, at + len(text)))
            at = data.find(text, at + 1)
    assert sorted(found) == sorted(expected)


@given(st.lists(st.text("ab", min_size=1, max_size=200), min_size=1, max_size=4), st.text("ab", max_size=300))
@settings(max_examples=200, deadline=None)
def test_what_is_held_back_is_the_longest_end_that_begins_a_pattern(texts: list[str], ends: str) -> None:
    data = ends.encode() + texts[0][: len(ends)].encode()
    patterns = [text.encode() for text in texts]
    begins = [at for at in range(len(data)) if any(len(text) > len(data) - at and text.startswith(data[at:]) for text in patterns)]

    assert Search({text: text for text in patterns}).hold(data) == min(begins, default=len(data))

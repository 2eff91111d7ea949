"""The forms in which a secret may show itself in text, as byte patterns to search for."""

from __future__ import annotations

from binascii import b2a_base64

# A line of a multi-line value, or a value without its quotes, counts from this many characters on. Braces, brackets and `- ` of a JSON or
# YAML secret are no secret, and masking each `}` would hide the log. A value as a whole is masked at any length: it was named a secret.
PART_CHARS_MIN = 3
# A fragment of base64 shorter than this meets ordinary words by chance (3 characters: every 262,144th place).
FRAGMENT_CHARS_MIN = 4
# A shared needle below this length is met so often that verifying the hits costs more than the searches it saves.
NEEDLE_BYTES_MIN = 8

UNRESERVED = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~"
_UNRESERVED_OR_SPACE = bytes(byte if byte in UNRESERVED else 0x20 for byte in range(256))
_URI = [chr(byte) if byte in UNRESERVED else f"%{byte:02X}" for byte in range(256)]
_JSON: dict[int, str] = {
    **{code: f"\\u{code:04x}" for code in range(32)},
    8: "\\b",
    9: "\\t",
    10: "\\n",
    12: "\\f",
    13: "\\r",
    34: '\\"',
    92: "\\\\",
}
_JSON_LINE_ENDS: dict[int, str] = {0x85: "\\u0085", 0x2028: "\\u2028", 0x2029: "\\u2029"}  # some writers escape these, and no more
_XML: dict[int, str] = {38: "&amp;", 60: "&lt;", 62: "&gt;", 34: "&quot;", 39: "&apos;"}


def patterns(value: str) -> dict[bytes, bytes]:
    """Every form of a secret value, each with its needle: a part of it that is worth searching first.

    Forms: the trimmed value and each trimmed line; of each of them the text itself, base64 at the three offsets, JSON, URI and XML escapes,
    `''` for `'`, backslash-quote for a quote, and without surrounding quotes. Forms of one value share needles, so that a search for many
    forms is a search for few needles. An empty or blank value has none.
    Source: actions/runner, Runner.Worker/Worker.cs `InitializeSecretMasker`, Runner.Common/HostContext.cs, Sdk/DTLogging `ValueEncoders`.
    """
    found: dict[bytes, bytes] = {}
    for piece in _pieces(value):
        raw = to_bytes(piece)
        run = max(raw.translate(_UNRESERVED_OR_SPACE).split(b" "), key=len)  # no escape touches it, so every form holds it
        for form in _escaped(piece):
            text = to_bytes(form)
            found.setdefault(text, run if len(run) >= NEEDLE_BYTES_MIN and run in text else text)
        for skipped in range(3):
            _add_base64(found, raw, skipped)
    return found


def to_bytes(text: str) -> bytes:
    """The bytes that a program prints for `text`; bytes of the environment that are no UTF-8 come out as they went in."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # a lone surrogate from a JSON escape
        return text.encode("utf-8", "surrogatepass")


def to_text(data: bytes) -> str:
    """The inverse of `to_bytes`."""
    return data.decode("utf-8", "surrogateescape")


def _pieces(value: str) -> list[str]:
    whole = value.strip()
    lines = [line.strip() for line in whole.replace("\r", "\n").split("\n")]
    return list(dict.fromkeys([piece for piece in (whole,) if piece] + [line for line in lines if len(line) >= PART_CHARS_MIN]))


def _escaped(piece: str) -> list[str]:
    json = piece.translate(_JSON)
    forms = [piece, json, piece.translate(_XML), piece.replace("'", "''"), piece.replace('"', '\\"')]
    forms.append("".join(_URI[byte] for byte in to_bytes(piece)))
    if any(char > "~" for char in piece):
        forms.append(json.translate(_JSON_LINE_ENDS))
        forms.append("".join(_utf16_escape(char) if char > "~" else char for char in json))
    if piece[0] == piece[-1] == '"' and len(piece) - 2 >= PART_CHARS_MIN:
        forms.append(piece[1:-1])
    return forms


def _utf16_escape(char: str) -> str:
    units = char.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def _add_base64(found: dict[bytes, bytes], raw: bytes, skipped: int) -> None:
    """Base64 of the value without its first `skipped` bytes, and of the value where as many bytes complete a group of three.

    The second has no edges: a character at either end that mixes secret bits with a neighbour's is different in each text.
    """
    rest = raw[skipped:] or raw
    ended = b2a_base64(rest, newline=False)
    before = -skipped % 3
    inner = b2a_base64(bytes(before) + raw, newline=False)[-(-8 * before // 6) : 8 * (before + len(raw)) // 6]
    needle = b2a_base64(rest[: len(rest) // 3 * 3], newline=False)
    for text in (ended, inner):
        if text is ended or len(text) >= FRAGMENT_CHARS_MIN:
            found.setdefault(text, needle if len(needle) >= NEEDLE_BYTES_MIN and needle in text else text)

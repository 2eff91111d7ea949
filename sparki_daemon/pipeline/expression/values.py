"""The values of an expression: their kinds, how they turn into each other, how they compare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Value = None | bool | int | float | str | Sequence["Value"] | Mapping[str, "Value"]

NULL, BOOLEAN, NUMBER, STRING, ARRAY, OBJECT = "Null", "Boolean", "Number", "String", "Array", "Object"

# What .NET's Char.IsWhiteSpace says: Python's own set has the four separators U+001C to U+001F besides.
WHITESPACE = "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"

_DECIMAL_CHARACTERS = frozenset("0123456789+-.eE")
_INFINITIES = frozenset({"infinity", "+infinity", "-infinity"})
_NAN = float("nan")
_WHOLE_LIMIT = 2**53  # above it not every whole double is the number that was written
# Characters that ordinal comparison keeps apart from I and S, though they have these as capitals.
_UNFOLDED = "ı\u017f"


class Filtered(list[Value]):
    """What `.*` gives: a further index goes into each item of it."""

    __slots__ = ()


_KINDS: dict[type, str] = {
    type(None): NULL,
    bool: BOOLEAN,
    int: NUMBER,
    float: NUMBER,
    str: STRING,
    list: ARRAY,
    Filtered: ARRAY,
    dict: OBJECT,
}


def kind_of(value: Value) -> str:
    """Null, Boolean, Number, String, Array or Object; any mapping is an Object, any other sequence an Array."""
    kind = _KINDS.get(type(value))
    if kind is not None:
        return kind
    if isinstance(value, Mapping):
        return OBJECT
    for base in (bool, int, float, str):
        if isinstance(value, base):
            return _KINDS[base]
    return ARRAY


def is_primitive(value: Value) -> bool:
    return kind_of(value) not in {ARRAY, OBJECT}


def is_truthy(value: Value) -> bool:
    """False for null, false, 0, NaN and the empty string; arrays and objects are true, empty ones too."""
    if isinstance(value, float):
        return value == value and value != 0  # noqa: PLR0124  NaN alone differs from itself
    if value is None or isinstance(value, bool | int | str):
        return bool(value)
    return True


def number_text(number: float) -> str:
    """A number as .NET's format G15 writes it: 15 digits at most, `1E+16`, `-0` as `0`."""
    try:
        double = float(number)
    except OverflowError:
        double = float("inf") if number > 0 else float("-inf")
    if double != double:  # noqa: PLR0124  NaN alone differs from itself
        return "NaN"
    if double in {float("inf"), float("-inf")}:
        return "Infinity" if double > 0 else "-Infinity"
    return f"{double:.15G}" if double else "0"


def to_string(value: Value) -> str:
    """The text of a primitive; `Array` or `Object` for the rest."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return number_text(value)
    return kind_of(value)


def parse_number(text: str) -> float:
    """The number that a text stands for, NaN for none: decimal, `0x`, `0o`, `Infinity`; blank is 0.

    Source: actions/runner, ExpressionUtility.ParseNumber. Hexadecimal and octal are 32 bits wide, signed.
    """
    text = text.strip(WHITESPACE)
    if not text:
        return 0
    if _DECIMAL_CHARACTERS.issuperset(text):
        try:
            return whole(float(text))
        except ValueError:
            return _NAN
    if text.isascii() and text.lower() in _INFINITIES:
        return float(text)
    return _radix_number(text)


def _radix_number(text: str) -> float:
    """`0x` and `0o` numbers, NaN for anything else."""
    base, digits = {"0x": (16, "0123456789abcdefABCDEF"), "0o": (8, "01234567")}.get(text[:2], (0, ""))
    if not base or len(text) == 2 or not set(digits).issuperset(text[2:]):
        return _NAN
    bits = int(text[2:], base)
    if bits >= 2**32:
        return _NAN
    return bits - 2**32 if bits >= 2**31 else bits


def whole(number: float) -> float:
    """The same number, as an int where it is one exactly, so that it is shown without a fraction."""
    return int(number) if -_WHOLE_LIMIT <= number <= _WHOLE_LIMIT and number == int(number) else number


def to_number(value: Value) -> float:
    """Null and false are 0, true is 1, a text as `parse_number` says; NaN for arrays and objects."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int | float):
        return value
    if value is None:
        return 0
    return parse_number(value) if isinstance(value, str) else _NAN


def fold(text: str) -> str:
    """The text for a comparison that ignores case: character by character, no locale (.NET's OrdinalIgnoreCase)."""
    if text.isascii():
        return text.upper()
    return "".join(upper if len(upper := char.upper()) == 1 and char not in _UNFOLDED else char for char in text)


def lookup(mapping: Mapping[str, Value], key: str) -> tuple[Value] | None:
    """The value under a key ignoring case, in a tuple of one; None where there is none."""
    if key in mapping:
        return (mapping[key],)
    folded = fold(key)
    for name in mapping:
        if len(name) == len(key) and fold(name) == folded:
            return (mapping[name],)
    return None


def _coerced(left: Value, right: Value) -> tuple[Value, Value, str]:
    """Both as one kind, and the kind; the kind is empty where they cannot be compared."""
    left_kind, right_kind = kind_of(left), kind_of(right)
    if left_kind != right_kind:
        if left_kind in {BOOLEAN, NULL} or (left_kind == STRING and right_kind in {NUMBER, BOOLEAN, NULL}):
            left, left_kind = to_number(left), NUMBER
        if right_kind in {BOOLEAN, NULL} or (right_kind == STRING and left_kind == NUMBER):
            right, right_kind = to_number(right), NUMBER
    return left, right, left_kind if left_kind == right_kind else ""


def loosely_equal(left: Value, right: Value) -> bool:
    """`==`: different primitive kinds meet as numbers, texts ignore case, arrays and objects are equal to themselves alone.

    Source: actions/runner, EvaluationResult.AbstractEqual.
    """
    left, right, kind = _coerced(left, right)
    if isinstance(left, str) and isinstance(right, str):
        return left == right or fold(left) == fold(right)
    if kind in {ARRAY, OBJECT}:
        return left is right
    return bool(kind) and left == right


def less_than(left: Value, right: Value) -> bool:
    """`<`, with the coercions of `==`; never true for null, arrays and objects among themselves."""
    left, right, _ = _coerced(left, right)
    if isinstance(left, str) and isinstance(right, str):
        return _code_units(left) < _code_units(right)
    if isinstance(left, int | float) and isinstance(right, int | float):
        return left < right
    return False


def _code_units(text: str) -> bytes:
    """The order of .NET's strings is that of their UTF-16 code units."""
    return fold(text).encode("utf-16-be", "surrogatepass")


def compare(op: str, left: Value, right: Value) -> bool:
    """The value of `left op right` for `==`, `!=`, `<`, `<=`, `>`, `>=`."""
    if op in {"==", "!="}:
        return loosely_equal(left, right) is (op == "==")
    first, second = (left, right) if op[0] == "<" else (right, left)
    return less_than(first, second) or (len(op) == 2 and loosely_equal(left, right))

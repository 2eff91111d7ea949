"""Makes data classes as `dataclasses` does, but compiles an `__init__` only for those that are often made, and nothing else.

Left out is what nothing here has: ClassVar, InitVar, `__post_init__`, `hash=`, `init=`, pickling. The library's `fields`, `replace`,
`asdict` and `is_dataclass` take these classes too.
"""

from __future__ import annotations

from operator import attrgetter
from types import MemberDescriptorType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Never

_NONE: Any = object()  # no default: None is one
_SOME = 24  # objects of a class, for which compiling takes longer than it saves


class _Field:
    """How a field is filled that isn't given, and who looks at it."""

    __slots__ = ("compare", "default", "factory", "repr")

    def __init__(self, default: Any, factory: Any, *, shown: bool = True, compare: bool = True) -> None:
        self.default = default
        self.factory = factory
        self.repr = shown
        self.compare = compare


def field(*, default: Any = _NONE, default_factory: Any = _NONE, repr: bool = True, compare: bool = True) -> Any:  # noqa: A002  # the library's words
    """As `dataclasses.field`."""
    return _Field(default, default_factory, shown=repr, compare=compare)


def dataclass(
    cls: Any = None, /, *, frozen: bool = False, slots: bool = False, kw_only: bool = False, eq: bool = True, order: bool = False
) -> Any:
    """As `dataclasses.dataclass`."""

    def made(cls: Any) -> Any:
        own = {name: _taken_out(cls, name) for name in _annotations(cls)}
        fields = {**getattr(cls, "__sparki_fields__", {}), **own}
        by_keyword = getattr(cls, "__sparki_by_keyword__", frozenset()) - own.keys() | frozenset(own if kw_only else ())
        if slots:
            cls = _with_slots(cls, own)
        cls.__sparki_fields__ = fields
        cls.__sparki_by_keyword__ = by_keyword
        cls.__dataclass_fields__ = _TOLD
        setattr(cls, "__match_args__", tuple(name for name in fields if name not in by_keyword))  # noqa: B010  # mypy has it for a constant
        _add(cls, "__init__", _first_init(cls))
        _add(cls, "__repr__", _repr)
        if eq:
            _compare(cls, [name for name, one in fields.items() if one.compare], frozen=frozen, order=order)
        if frozen:
            cls.__setattr__ = _refuse_to_set
            cls.__delattr__ = _refuse_to_delete
        return cls

    return made if cls is None else made(cls)


def replace(one: Any, /, **changes: Any) -> Any:
    """As `dataclasses.replace`."""
    for name in one.__sparki_fields__:
        if name not in changes:
            changes[name] = getattr(one, name)
    return one.__class__(**changes)


def _annotations(cls: Any) -> dict[str, Any]:
    """Those of the class itself. A class without any would show its base's, but for this."""
    found: dict[str, Any] = cls.__dict__.get("__annotations__", {})  # noqa: RUF063  # `inspect` is what must not be loaded
    return found


def _taken_out(cls: Any, name: str) -> _Field:
    """The field that the class's body says; the class keeps the plain default, if any."""
    said = cls.__dict__.get(name, _NONE)
    if not isinstance(said, _Field):
        return _Field(said, _NONE)
    if said.default is _NONE:
        delattr(cls, name)
    else:
        setattr(cls, name, said.default)
    return said


def _with_slots(cls: Any, own: dict[str, _Field]) -> Any:
    """The class again: slots can't be given to one that is there."""
    body = {name: value for name, value in cls.__dict__.items() if name not in own and name not in {"__dict__", "__weakref__"}}
    body["__slots__"] = tuple(name for name in own if name not in getattr(cls, "__sparki_fields__", ()))
    again = type(cls)(cls.__name__, cls.__bases__, body)
    again.__qualname__ = cls.__qualname__
    return again


def _add(cls: Any, name: str, method: Any) -> None:
    if name not in cls.__dict__:
        setattr(cls, name, method)


def _first_init(cls: Any) -> Callable[..., None]:
    made = 0

    def __init__(self: Any, *args: Any, **given: Any) -> None:  # noqa: N807  # it is one
        nonlocal made
        made += 1
        if made > _SOME or not _fill(cls, self, args, given):  # what is wrong with the arguments, Python itself says best
            cls.__init__ = _init(cls)
            cls.__init__(self, *args, **given)

    return __init__


def _fill(cls: Any, one: Any, args: tuple[Any, ...], given: dict[str, Any]) -> bool:
    """Fill the fields that `cls` has in a new object; False: these are not the arguments that it takes."""
    places = cls.__match_args__
    values = {**dict(zip(places, args, strict=False)), **given}
    if len(args) > len(places) or len(values) < len(args) + len(given):
        return False
    used = 0
    for name, field_of in cls.__sparki_fields__.items():
        if name in values:
            value = values[name]
            used += 1
        elif field_of.factory is not _NONE:
            value = field_of.factory()
        elif field_of.default is not _NONE:
            value = field_of.default
        else:
            return False
        object.__setattr__(one, name, value)
    return used == len(values)


def _init(cls: Any) -> Any:
    """The method that fills the fields, written out, as it is called often."""
    known: dict[str, Any] = {"_none": _NONE}
    head = ["self"]
    by_keyword: list[str] = []
    body: list[str] = []
    for number, (name, one) in enumerate(cls.__sparki_fields__.items()):
        known[f"_set{number}"] = _setter(cls, name)
        given, value = name, name
        if one.factory is not _NONE:
            known[f"_make{number}"] = one.factory
            given, value = f"{name}=_none", f"_make{number}() if {name} is _none else {name}"
        elif one.default is not _NONE:
            known[f"_default{number}"] = one.default
            given = f"{name}=_default{number}"
        (by_keyword if name in cls.__sparki_by_keyword__ else head).append(given)
        body.append(f" _set{number}(self, {value})")
    words = ", ".join([*head, "*", *by_keyword] if by_keyword else head)
    exec("\n".join([f"def __init__({words}):", *(body or [" pass"])]), known)  # noqa: S102  # of field names alone, as in the library
    method = known["__init__"]
    method.__qualname__ = f"{cls.__qualname__}.__init__"
    return method


def _setter(cls: Any, name: str) -> Callable[[Any, Any], None]:
    """Through the slot itself where there is one: no `__setattr__` is in the way, and it is quicker."""
    slot = next((base.__dict__[name] for base in cls.__mro__ if name in base.__dict__), None)
    if isinstance(slot, MemberDescriptorType):
        return slot.__set__
    return lambda self, value: object.__setattr__(self, name, value)


def _repr(self: Any) -> str:
    shown = (f"{name}={getattr(self, name)!r}" for name, one in self.__sparki_fields__.items() if one.repr)
    return f"{self.__class__.__qualname__}({', '.join(shown)})"


def _compare(cls: Any, names: list[str], *, frozen: bool, order: bool) -> None:
    values = attrgetter(*names) if names else lambda _: ()

    def __eq__(self: Any, other: Any) -> bool:  # noqa: N807
        return values(self) == values(other) if other.__class__ is self.__class__ else NotImplemented

    def __hash__(self: Any) -> int:  # noqa: N807
        return hash(values(self))

    if cls.__dict__.get("__hash__") is None:
        cls.__hash__ = __hash__ if frozen else None
    _add(cls, "__eq__", __eq__)
    if order:
        _put_in_order(cls, values)


def _put_in_order(cls: Any, values: Callable[[Any], Any]) -> None:
    def __lt__(self: Any, other: Any) -> bool:  # noqa: N807
        return values(self) < values(other) if other.__class__ is self.__class__ else NotImplemented

    def __le__(self: Any, other: Any) -> bool:  # noqa: N807
        return values(self) <= values(other) if other.__class__ is self.__class__ else NotImplemented

    cls.__lt__ = __lt__  # Python turns these round for > and >=
    cls.__le__ = __le__


def _refuse_to_set(_: Any, name: str, __: Any) -> Never:
    from dataclasses import FrozenInstanceError  # noqa: PLC0415  # the library is slow to load, and this is a bug

    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_to_delete(_: Any, name: str) -> Never:
    from dataclasses import FrozenInstanceError  # noqa: PLC0415  # the same

    raise FrozenInstanceError(f"cannot delete field {name!r}")


class _Told:
    """`__dataclass_fields__`, made for who asks: the library's functions, tools, tests."""

    def __get__(self, _: Any, cls: Any) -> dict[str, Any]:
        import dataclasses  # noqa: PLC0415  # whoever asks has it

        types = {name: kind for base in reversed(cls.__mro__) for name, kind in _annotations(base).items()}
        told: dict[str, Any] = {}
        for name, one in cls.__sparki_fields__.items():
            default = {} if one.default is _NONE else {"default": one.default}
            factory = {} if one.factory is _NONE else {"default_factory": one.factory}
            made: Any = dataclasses.field(
                repr=one.repr, compare=one.compare, kw_only=name in cls.__sparki_by_keyword__, **default, **factory
            )
            made.name, made.type = name, types[name]
            made._field_type = dataclasses._FIELD  # type: ignore[attr-defined]  # noqa: SLF001  # what `fields` goes by
            told[name] = made
        cls.__dataclass_fields__ = told
        return told


_TOLD = _Told()

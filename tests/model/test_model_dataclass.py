"""Our data classes are the library's to whoever uses them: each rule is held for both."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from sparki_daemon.model import class_maker


@pytest.fixture(params=["ours", "ours, compiled", "the library's"])
def made_by(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    if request.param == "ours, compiled":
        monkeypatch.setattr(class_maker, "_SOME", 0)
    return dataclasses if request.param == "the library's" else class_maker


@pytest.fixture
def job(made_by: ModuleType) -> Any:
    @made_by.dataclass(frozen=True, slots=True)
    class Job:
        """A job."""

        name: str
        needs: tuple[str, ...] = ()
        env: dict[str, str] = made_by.field(default_factory=dict)
        text: str = made_by.field(default="", compare=False, repr=False)

        def label(self) -> str:
            return self.name.upper()

    return Job


def test_fields_are_given_by_place_or_name_and_defaults_fill_the_rest(job: Any) -> None:
    one = job("a", env={"x": "1"})
    assert (one.name, one.needs, one.env, one.text, one.label()) == ("a", (), {"x": "1"}, "", "A")


def test_a_factory_makes_a_new_default_each_time(job: Any) -> None:
    assert job("a").env is not job("a").env


def test_none_is_a_value_and_a_default(made_by: ModuleType, job: Any) -> None:
    @made_by.dataclass
    class Maybe:
        value: str | None = None

    assert (job("a", env=None).env, Maybe().value) == (None, None)


@pytest.mark.parametrize(
    "wrong", [lambda job: job(), lambda job: job("a", nonesuch=1), lambda job: job("a", name="b"), lambda job: job("a", (), {}, "", 5)]
)
def test_wrong_arguments_are_refused_at_the_first_call_and_later(job: Any, wrong: Callable[[Any], Any]) -> None:
    for _ in range(2):
        with pytest.raises(TypeError, match=r"__init__\(\)"):
            wrong(job)


def test_the_same_values_are_equal_and_hash_alike(job: Any) -> None:
    one, same, other = job("a", env=()), job("a", env=(), text="not compared"), job("b", env=())
    assert one == same
    assert hash(one) == hash(same)
    assert one != other
    assert one != "a"


def test_no_one_is_equal_to_an_object_of_another_class(made_by: ModuleType) -> None:
    first, second = (made_by.dataclass(type("Same", (), {"__annotations__": {"a": int}})) for _ in range(2))
    assert first(1) != second(1)


def test_what_can_change_has_no_hash(made_by: ModuleType) -> None:
    @made_by.dataclass
    class Count:
        value: int = 0

    one = Count()
    one.value += 1
    assert one == Count(1)
    with pytest.raises(TypeError, match="unhashable"):
        hash(one)


def test_without_eq_each_is_itself(made_by: ModuleType) -> None:
    @made_by.dataclass(eq=False, slots=True)
    class Link:
        name: str

    assert Link("a") != Link("a")
    assert len({Link("a"), Link("a")}) == 2


def test_the_frozen_can_not_be_changed(job: Any) -> None:
    one = job("a")
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'name'"):
        one.name = "b"
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot delete field 'name'"):
        del one.name


def test_slots_leave_no_room_for_more(made_by: ModuleType) -> None:
    @made_by.dataclass(slots=True)
    class Small:
        a: int
        b: int = 2

    one = Small(1)
    assert (Small.__slots__, hasattr(one, "__dict__")) == (("a", "b"), False)
    with pytest.raises(AttributeError):
        one.c = 3


def test_keyword_only_fields_come_in_any_order(made_by: ModuleType) -> None:
    @made_by.dataclass(frozen=True, kw_only=True)
    class Problem:
        hint: str = ""
        code: str

    assert Problem(code="x") == Problem(hint="", code="x")
    with pytest.raises(TypeError):
        Problem("x")


@pytest.mark.parametrize("slots", [True, False])
def test_a_subclass_has_its_base_s_fields_first(made_by: ModuleType, slots: bool) -> None:
    @made_by.dataclass(frozen=True, slots=slots, kw_only=True)
    class Kind:
        expands: bool = False
        shape: str = "any"

    @made_by.dataclass(frozen=True, slots=slots)
    class Text(Kind):
        longest: int = 9
        shape: str = "text"

    @made_by.dataclass(frozen=True, slots=slots)
    class Word(Text):
        pass

    assert (Text("x", 5, expands=True), Kind()) == (Text(longest=5, shape="x", expands=True), Kind(expands=False, shape="any"))
    assert (Word().longest, Word().shape, Word().expands) == (9, "text", False)
    assert repr(Text(longest=5)).endswith("Text(expands=False, shape='text', longest=5)")


def test_it_shows_its_fields(job: Any) -> None:
    assert repr(job("a", text="hidden")).endswith(".Job(name='a', needs=(), env={})")


def test_methods_of_the_class_itself_are_kept(made_by: ModuleType) -> None:
    @made_by.dataclass(frozen=True)
    class Own:
        a: int

        def __repr__(self) -> str:
            return "own"

        def __eq__(self, other: object) -> bool:
            return True

        def __hash__(self) -> int:
            return 7

    assert (repr(Own(1)), hash(Own(1)), Own(1) == 3) == ("own", 7, True)


def test_order_goes_by_the_fields(made_by: ModuleType) -> None:
    @made_by.dataclass(frozen=True, slots=True, order=True)
    class Position:
        line: int
        column: int

    first, second = Position(1, 9), Position(2, 1)
    assert sorted([second, first]) == [first, second]
    assert (first < second, first <= first, second > first, second >= second) == (True, True, True, True)
    with pytest.raises(TypeError):
        first < "a"  # noqa: B015


def test_patterns_take_it_apart(job: Any) -> None:
    match job("a", ("b",)):
        case job(name, needs=(first,)):
            assert (name, first) == ("a", "b")
        case _:
            pytest.fail("it didn't match")


def test_a_class_without_fields_is_one_too(made_by: ModuleType) -> None:
    @made_by.dataclass(frozen=True, slots=True)
    class Nothing:
        pass

    assert (Nothing() == Nothing(), hash(Nothing()) == hash(Nothing())) == (True, True)


@pytest.mark.parametrize("replace", [class_maker.replace, dataclasses.replace], ids=["ours", "the library's"])
def test_replace_changes_what_is_named(replace: Callable[..., Any]) -> None:
    @class_maker.dataclass(frozen=True, slots=True, kw_only=True)
    class Step:
        name: str
        run: str = ""

    one = Step(name="a", run="true")
    assert replace(one, run="false") == Step(name="a", run="false")
    assert one.run == "true"
    with pytest.raises(TypeError):
        replace(one, nonesuch=1)


def test_the_library_s_functions_take_it(job: Any) -> None:
    assert dataclasses.is_dataclass(job)
    assert [(one.name, one.compare, one.kw_only) for one in dataclasses.fields(job)] == [
        ("name", True, False), ("needs", True, False), ("env", True, False), ("text", False, False)
    ]  # fmt: skip
    assert dataclasses.asdict(job("a")) == {"name": "a", "needs": (), "env": {}, "text": ""}


def test_making_and_using_one_loads_no_library() -> None:
    script = """
import sys
from sparki_daemon.model.dataclass import dataclass, replace
one = dataclass(frozen=True, slots=True)(type("A", (), {"__annotations__": {"a": "int"}}))
assert replace(one(1), a=2) == one(2) and repr(one(2)) == "A(a=2)"
print({"dataclasses", "inspect"} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_the_first_objects_and_the_thousandth_are_made_alike(made_by: ModuleType, job: Any) -> None:
    many = [job("a", env={"x": "1"}) for _ in range(1000)]
    assert all(one == many[0] for one in many)
    with pytest.raises(TypeError, match=r"missing 1 required positional argument: 'name'"):
        job()

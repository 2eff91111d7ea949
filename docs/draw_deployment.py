"""Draws docs/deployment.svg from the table of a deployment's steps: `python docs/draw_deployment.py`. A test holds the file against it."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import Path

from sparki_daemon.model.deployment import STEPS, Act, Direction, Phase, Saga, SagaEvent, advance, next_act
from sparki_daemon.model.job import IllegalMove

ROW, TOP, BOX = 62, 96, 40  # pixels: a row, the first row's box, a box's height
LEFT, LEFT_WIDTH = 40, 330
RIGHT, RIGHT_WIDTH = 560, 260
WIDTH = 880
STYLE = (
    ".n{font-weight:bold;font-size:14px;fill:#1f2328}.l{font-size:12.5px;fill:#1f2328}.s{font-size:11.5px;fill:#57606a}"
    ".f{font-size:11.5px;fill:#b35900;paint-order:stroke;stroke:#ffffff;stroke-width:4px}"
)


def picture() -> str:
    """The whole picture: forward on the left, back on the right, and where each way ends."""
    height = TOP + ROW * len(STEPS) + 96
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="Helvetica, Arial, sans-serif">',
        "<title>The steps of a deployment, forward and back</title>",
        "<defs>" + _arrow("go", "#0969da") + _arrow("no", "#b35900") + "</defs>",
        f"<style>{STYLE}</style>",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        _text(LEFT, 30, "n", "forward"),
        _text(LEFT, 50, "s", "queued or waiting, then claimed by loco; each step is noted before it begins and after it ended"),
        _text(RIGHT, 30, "n", "back: after a failure, or when cancelled"),
        *_forward(),
        *_back(),
        *_failures(),
        *_ends(height),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _forward() -> Iterator[str]:
    for index, rule in enumerate(STEPS):
        yield _box(LEFT, _y(index), LEFT_WIDTH, "#ddf4ff", "#0969da")
        yield _text(LEFT + 12, _y(index) + 17, "n", rule.name)
        yield _text(LEFT + 12, _y(index) + 32, "l", rule.does)
        again = "killed here: done again" if next_act(_killed_at(index)) is Act.DO else "killed here: looked at first"
        yield _text(LEFT + LEFT_WIDTH - 165, _y(index) + 17, "s", again)
        if index + 1 < len(STEPS):
            yield _line(LEFT + 30, _y(index) + BOX, LEFT + 30, _y(index + 1), "go")


def _back() -> Iterator[str]:
    undone = [index for index, rule in enumerate(STEPS) if rule.undone]
    for index in undone:
        yield _box(RIGHT, _y(index), RIGHT_WIDTH, "#fff8c5", "#b35900")
        yield _text(RIGHT + 12, _y(index) + 25, "l", STEPS[index].undone)
    for lower, upper in zip(undone[1:], undone, strict=False):
        yield _line(RIGHT + 30, _y(lower), RIGHT + 30, _y(upper) + BOX, "no")


def _failures() -> Iterator[str]:
    """Where each step's failure leads, as `advance` says."""
    texts = []
    for index in range(len(STEPS)):
        after = advance(_doing(index), SagaEvent.FAILED)
        y = _y(index) + 28
        words = "told, and gone on"
        if after.direction is Direction.BACK:
            yield _line(LEFT + LEFT_WIDTH, y, RIGHT, _y(after.at) + 22, "no")
            words = _end(after)
        why = "fails, or a rollback" if _may(index, SagaEvent.ROLLED_BACK) else "fails"
        texts.append(_text(LEFT + LEFT_WIDTH + 10, y - 5, "f", f"{why}: {words}"))
    yield from texts  # over the lines, not under them


def _ends(height: int) -> Iterator[str]:
    yield _line(LEFT + 30, _y(len(STEPS) - 1) + BOX, LEFT + 30, _y(len(STEPS)), "go")
    yield _text(LEFT, _y(len(STEPS)) + 18, "n", "live")
    first = next(index for index, rule in enumerate(STEPS) if rule.undone)
    yield _line(RIGHT + 30, _y(first), RIGHT + 30, _y(first) - 22, "no")
    yield _text(RIGHT, _y(first) - 28, "n", "failed, reverted or cancelled")
    unclear = "A look that can't tell, and an undoing that fails, end as unknown: a person looks, and says sparki resolve."
    yield _text(LEFT, height - 24, "l", unclear)


def _doing(index: int) -> Saga:
    """A saga in the middle of a step, with traffic moved where it is at the switch or behind it."""
    saga = Saga()
    for _ in range(index):
        saga = advance(advance(saga, SagaEvent.BEGUN), SagaEvent.DONE)
    return advance(saga, SagaEvent.BEGUN)


def _may(index: int, event: SagaEvent) -> bool:
    """Whether the event may happen in the middle of a step."""
    try:
        advance(_doing(index), event)
    except IllegalMove:
        return False
    return True


def _killed_at(index: int) -> Saga:
    return advance(_doing(index), SagaEvent.INTERRUPTED)


def _end(saga: Saga) -> str:
    """How it ends when every undoing succeeds."""
    while saga.phase is not Phase.ENDED:
        saga = advance(saga, SagaEvent.BEGUN if saga.phase is Phase.READY else SagaEvent.DONE)
    return saga.state.value


def _y(index: int) -> int:
    return TOP + ROW * index


def _box(x: int, y: int, width: int, fill: str, stroke: str) -> str:
    return f'<rect x="{x}" y="{y}" width="{width}" height="{BOX}" rx="5" fill="{fill}" stroke="{stroke}"/>'


def _text(x: int, y: int, kind: str, text: str) -> str:
    return f'<text x="{x}" y="{y}" class="{kind}">{escape(text)}</text>'


def _line(x1: int, y1: int, x2: int, y2: int, kind: str) -> str:
    colour = "#0969da" if kind == "go" else "#b35900"
    return f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="{colour}" stroke-width="1.4" marker-end="url(#{kind})"/>'


def _arrow(name: str, colour: str) -> str:
    shape = 'viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto"'
    return f'<marker id="{name}" {shape}><path d="M0 0L10 5L0 10z" fill="{colour}"/></marker>'


if __name__ == "__main__":
    Path(__file__).with_name("deployment.svg").write_text(picture(), encoding="utf-8")

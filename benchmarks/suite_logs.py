"""A log of 100 MB and one line of 50 MB: stored, indexed and masked with three secrets, beside the bare pipe."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks import workflows
from benchmarks.clock import side_by_side
from benchmarks.desk import Desk, peaks_mib
from benchmarks.log_pump import TOKENS, fill, text
from benchmarks.report import Row, megabytes, slower

SECRETS = [TOKENS[0], TOKENS[2], "s3cr3t-pass-w9rd"]


def rows(desk: Desk, rounds: int) -> Iterator[Row]:
    lines, line = desk.folder / "lines", desk.folder / "line"
    block = text()
    fill(lines, block, 100)
    fill(line, block.replace(b"\n", b" "), 50)
    many = desk.repository("many", workflows.logging(str(lines), SECRETS))
    single = desk.repository("single", workflows.logging(str(line), SECRETS))
    cases = {
        "pipe": desk.tool(many, "sh", "-c", f"cat {lines} | cat > /dev/null"),
        "quiet": desk.sparki(many, "run", "--quiet"),
        "told": desk.sparki(many, "run"),
        "disk": desk.tool(many, "dd", f"if={lines}", f"of={desk.folder / 'copy'}", "bs=64k", "conv=fdatasync", "status=none"),
        "half pipe": desk.tool(many, "sh", "-c", f"cat {line} | cat > /dev/null"),
        "one line": desk.sparki(single, "run", "--quiet"),
    }
    found = side_by_side(cases, rounds, between=desk.settled)
    yield slower("a log of 100 MB, 3 secrets, whole command", found["quiet"], "`cat \\| cat`", found["pipe"], 4)
    yield slower("the same, and told to a pipe", found["told"], "`cat \\| cat`", found["pipe"])
    yield slower("the log of 100 MB again", found["quiet"], "`dd conv=fdatasync`, which brings it to the disk too", found["disk"])
    yield slower("one line of 50 MB, 3 secrets", found["one line"], "`cat \\| cat`", found["half pipe"], 4)
    desk.sparki(single, "run")()
    peaks = peaks_mib(desk.pids(many))
    for name, peak in peaks.items():
        yield megabytes(f"peak of the {name} after both", peak, 80)
    yield megabytes("peak of the command that tells the line of 50 MB", desk.peak_mib(single, "run"), 80)

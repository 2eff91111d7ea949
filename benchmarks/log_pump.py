"""Measures a log's way from pipe to file, masked and indexed, beside `cat | cat` and `cat > file` on the same machine.

python benchmarks/log_pump.py [MEGABYTES] [ROUNDS]
"""

from __future__ import annotations

import fcntl
import os
import random
import string
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from sparki_daemon.runner.commands import Scanner
from sparki_daemon.runner.mask import Masker
from sparki_daemon.runner.output import WIDE_READ_BYTES
from sparki_daemon.store.log_writer import LogWriter

PIPE_BYTES = 1024 * 1024
CHANCE = random.Random(1)
TOKENS = ["ghp_16C7e42F292c6912E7710c838347Ae178B4a", "s3cr3t&pass'word<9", "AKIAIOSFODNN7EXAMPLE"]
KEY = "\n".join(
    ["-----BEGIN KEY-----", *("".join(CHANCE.choices(string.ascii_letters + string.digits, k=64)) for _ in range(38)), "-----END KEY-----"]
)


def text() -> bytes:
    """About 1 MB of what builds print: times, levels, paths, digests, prose."""
    letters = string.ascii_letters + string.digits
    words = ["".join(CHANCE.choices(string.ascii_lowercase, k=CHANCE.randint(2, 9))) for _ in range(3000)]
    lines = []
    for number in range(4_000):
        word, other, third = CHANCE.choices(words, k=3)
        clock = f"2026-08-01T10:{number % 60:02}:{number % 47:02}.{number % 1000:03}Z"
        mixed = "".join(CHANCE.choices(letters, k=8))
        lines += [
            f"{clock} INFO [{word.title()}Worker-{number % 7}] {other} {third} took {number % 913} ms",
            f"Downloading https://packages.example/{word}/{other}-{number % 9}.tar.gz sha256:{CHANCE.getrandbits(128):032x}",
            f"  src/{word}/{other}.py:{number % 800}:{number % 90}: {' '.join(CHANCE.choices(words, k=6))} ({mixed})",
        ]
    return "\n".join(lines).encode()


def fill(path: Path, block: bytes, megabytes: int) -> None:
    """Without ever holding the file in memory: the peak is measured."""
    with path.open("wb") as file:
        for _ in range(megabytes):
            file.write(block[:1_000_000])


def pump(source: Path, target: Path, masker: Masker) -> None:
    """The runner's inner loop, without what a runner does between two reads."""
    read_end, write_end = os.pipe2(os.O_CLOEXEC)
    fcntl.fcntl(read_end, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    with subprocess.Popen(["cat", source], stdout=write_end) as feeder, LogWriter(target) as log:
        os.close(write_end)
        scanner = Scanner()
        while chunk := os.read(read_end, WIDE_READ_BYTES):
            for piece in scanner.feed(chunk, masker.sieve):
                assert isinstance(piece, bytes)  # there are no commands in it
                log.write(masker.feed(piece))
        log.write(masker.flush())
        assert feeder.wait() == 0
    os.close(read_end)


def memory_kib(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key))


def seconds(action: Callable[[], object], target: Path) -> float:
    for path in (target, target.with_suffix(".idx")):
        path.unlink(missing_ok=True)
    begin = time.perf_counter()
    action()
    return time.perf_counter() - begin


def main() -> None:
    megabytes, rounds = [int(argument) for argument in [*sys.argv[1:], *("100", "5")[len(sys.argv) - 1 :]]]
    with tempfile.TemporaryDirectory() as folder:
        lines, line, target = Path(folder, "lines"), Path(folder, "line"), Path(folder, "out.log")
        block = text()
        fill(lines, block, megabytes)
        fill(line, block.replace(b"\n", b" "), megabytes // 2)
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        base_kib = memory_kib("VmRSS")
        cases: dict[str, Callable[[], object]] = {
            "cat | cat > /dev/null": lambda: subprocess.run(f"cat {lines} | cat > /dev/null", shell=True, check=True),
            "cat > file": lambda: subprocess.run(f"cat {lines} > {target}", shell=True, check=True),
            "no secret": lambda: pump(lines, target, Masker()),
            "3 secrets": lambda: pump(lines, target, Masker(TOKENS)),
            "a private key of 40 lines": lambda: pump(lines, target, Masker([KEY])),
            "3 secrets, one line, half the size": lambda: pump(line, target, Masker(TOKENS)),
        }
        times: dict[str, list[float]] = {name: [] for name in cases}
        for _ in range(rounds):
            for name, action in cases.items():
                times[name].append(seconds(action, target))
        bare = median(times["cat | cat > /dev/null"])
        for name, taken in times.items():
            print(f"{name:36} {median(taken) * 1000:7.0f} ms   {median(taken) / bare:5.2f} x the bare pipe")
        print(f"memory: {base_kib / 1024:.1f} MiB, at its peak {(memory_kib('VmHWM') - base_kib) / 1024:.1f} MiB more")


if __name__ == "__main__":
    main()

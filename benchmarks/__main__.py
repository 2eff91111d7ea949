"""Measures Sparki beside the programs that people would use instead, and prints the table of README.md.

python -m benchmarks [SUITE…] [--rounds N]; suites: commands, history, jobs, cache, logs, memory, trees, deploy. Writes nothing outside a
temporary folder.
"""

from __future__ import annotations

import argparse
from importlib import import_module

from benchmarks.desk import Desk
from benchmarks.report import HEAD

SUITES = ("commands", "history", "jobs", "cache", "logs", "memory", "trees", "deploy")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("suites", nargs="*", help="none: all")
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    print(HEAD)
    for name in chosen.suites or SUITES:
        with Desk() as desk:
            for row in import_module(f"benchmarks.suite_{name}").rows(desk, chosen.rounds):
                print(row.line(), flush=True)


if __name__ == "__main__":
    main()

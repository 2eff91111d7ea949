"""The `tally` command: reads standard input or files, prints the most frequent words."""

import argparse
import json
import sys

from . import __version__, top


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="tally")
    parser.add_argument("files", nargs="*", type=argparse.FileType("r", encoding="utf-8"))
    parser.add_argument("--most", type=int, default=10, metavar="N")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--version", action="version", version=__version__)
    chosen = parser.parse_args(arguments)
    text = "\n".join(file.read() for file in chosen.files) if chosen.files else sys.stdin.read()
    words = top(text, chosen.most)
    if chosen.json:
        print(json.dumps(dict(words), ensure_ascii=False))
    else:
        for word, times in words:
            print(f"{times:6} {word}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Asks an address: with `--once` once, else again and again until standard input ends, and then says how many requests were answered well."""

import sys
import threading
from urllib.request import ProxyHandler, build_opener


ask = build_opener(ProxyHandler({})).open  # to this machine, whatever proxy the shell has


def once(address):
    with ask(address, timeout=10) as answer:
        print(answer.read().decode(), end="")
    return 0


def again(address):
    stop = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
    asked = good = 0
    while not stop.wait(0.02):
        asked += 1
        try:
            with ask(address, timeout=10) as answer:
                good += answer.status == 200
        except OSError as error:
            print(f"  request {asked}: {error}", file=sys.stderr)
    print(f"{good} of {asked} requests were answered meanwhile")
    return 0 if asked and good == asked else 1


if __name__ == "__main__":
    sys.exit(once(sys.argv[2]) if sys.argv[1] == "--once" else again(sys.argv[1]))

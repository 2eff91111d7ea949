"""`python -m hello`: listens on $PORT."""

import os
import signal
import sys

from hello.server import serve

if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    serve(int(os.environ["PORT"])).serve_forever()

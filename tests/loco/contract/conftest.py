"""The adapters that are held to their contract: ours, and every one that a package on the path brings."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "e2e" / "twin_platform"))  # a package with an entry point, as others bring it

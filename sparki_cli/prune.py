"""`sparki prune`: drop now what is no longer kept."""

from __future__ import annotations

from sparki_cli.connect import connect
from sparki_cli.render import Output
from sparki_daemon.pipeline.amounts import size_text

_SIZES = (("logs_bytes", "logs"), ("artifacts_bytes", "artifacts"), ("snapshots_bytes", "snapshots"), ("cache_bytes", "cache"))


def prune(output: Output, *, dry_run: bool) -> int:
    """Say what went, and how much."""
    gone = connect(output).prune(dry_run=dry_run)
    if output.as_json:
        output.document(gone)
        return 0
    parts = [f"{gone['runs']} run{'' if gone['runs'] == 1 else 's'}"] if gone["runs"] else []
    parts += [f"{size_text(gone[key])} of {what}" for key, what in _SIZES if gone[key]]
    parts += [f"{gone['events']} events"] if gone["events"] else []
    what = ", ".join(parts) or "nothing"
    output.line(f"would go: {what}" if dry_run else f"gone: {what}")
    return 0

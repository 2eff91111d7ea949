"""The `process` adapter: a command on this machine behind a port, blue/green behind a front."""

from sparki_daemon.loco.adapters.process.adapter import ProcessAdapter

ADAPTER = ProcessAdapter()

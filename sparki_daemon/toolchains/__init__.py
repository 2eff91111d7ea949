"""The language tools that are on this machine, and which of them a version that somebody asks for means."""

"""Writes the patterns of a sparse checkout; pure.

Source: git's Documentation/git-sparse-checkout.txt, "Internals - Cone Pattern Set".
"""

from __future__ import annotations

from collections.abc import Iterable


def cone_patterns(folders: Iterable[str]) -> str:
    """The patterns that take the files of the root, all below `folders`, and the files directly in their parents."""
    whole = {folder.strip().strip("/") for folder in folders}
    whole = {folder for folder in whole if folder not in ("", ".")}
    whole = {folder for folder in whole if not any(parent in whole for parent in _parents(folder))}
    parents = {parent for folder in whole for parent in _parents(folder)}
    lines = ["/*", "!/*/"]
    for parent in sorted(parents):
        lines += [f"/{_literal(parent)}/", f"!/{_literal(parent)}/*/"]
    lines += [f"/{_literal(folder)}/" for folder in sorted(whole)]
    return "\n".join(lines) + "\n"


def _parents(folder: str) -> list[str]:
    parts = folder.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


def _literal(name: str) -> str:
    return "".join("\\" + character if character in "\\*?[" else character for character in name)

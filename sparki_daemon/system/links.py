"""Says which symbolic links of a tree of files lead out of it. Pure: nothing is looked for on a disk."""

from __future__ import annotations

from collections.abc import Mapping

FOLLOWED_MOST = 40  # links on the way of one: more is a circle. Source: Linux, path_resolution(7), MAXSYMLINKS


def outward(links: Mapping[str, str]) -> dict[str, str]:
    """Those of `links` (path in the tree → what the link says) that lead out: absolute ones, and those that climb over the root.

    The tree's other links on the way are followed; a link to what is not there leads nowhere, and stays.
    """
    return {path: target for path, target in links.items() if _leaves(path, target, links)}


def _leaves(path: str, target: str, links: Mapping[str, str]) -> bool:
    at, ahead, followed = path.split("/")[:-1], [target], 0
    while ahead:
        words = ahead.pop()
        if words.startswith("/"):
            return True
        word, _, rest = words.partition("/")
        if rest:
            ahead.append(rest.lstrip("/"))
        if word == "..":
            if not at:
                return True
            at.pop()
        elif word not in ("", "."):
            at.append(word)
            if (other := links.get("/".join(at))) is not None and (followed := followed + 1) <= FOLLOWED_MOST:
                at.pop()
                ahead.append(other)
    return False

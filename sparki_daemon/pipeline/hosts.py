"""Which jobs ask for another machine than this one, by their labels. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from sparki_daemon.model.plan import JobPlan

# How GitHub's hosted labels begin. Source: GitHub's docs, "GitHub-hosted runners reference".
_SYSTEMS = {"ubuntu": "Linux", "macos": "macOS", "windows": "Windows"}
_BARE = {"linux": "Linux", "macos": "macOS", "windows": "Windows"}  # labels that self-hosted runners bear
_PROCESSORS = {"arm": "ARM64", "arm64": "ARM64", "aarch64": "ARM64", "x64": "X64", "x86": "X86"}
_DEVICES = frozenset({"gpu", "cuda"})
_HOSTED = re.compile(
    r"ubuntu-(?:latest|slim|\d\d\.\d\d)(?:-arm)?|macos-(?:latest|\d+)(?:-(?:x?large|intel|arm64))?"
    r"|windows-(?:latest|\d+)(?:-arm|-vs\d+)?"
)
_KNOWN = frozenset({"self-hosted", *_BARE, *_PROCESSORS})


def foreign_label(labels: Sequence[str], system: str) -> str | None:
    """The label that asks for another system than `system` ("Linux", "macOS", "Windows"); None: the job can run here."""
    for label in labels:
        word = label.lower()
        asked = _BARE.get(word) or _SYSTEMS.get(word.partition("-")[0])
        if asked is not None and asked != system:
            return label
    return None


def skip_reason(job: JobPlan, system: str) -> str:
    """Why a job is skipped on this machine; empty where it can run."""
    label = foreign_label(job.runs_on, system)
    return f"runs-on '{label}': this machine runs {system}" if label else ""


def missing_hardware(labels: Sequence[str], arch: str) -> list[str]:
    """The labels that name another processor than `arch` ("X64", "ARM64"), or a device."""
    found = []
    for label in labels:
        words = label.lower().replace("_", "-").split("-")
        asked = next((_PROCESSORS[word] for word in words if word in _PROCESSORS), None)
        if (asked is not None and asked != arch) or _DEVICES & set(words):
            found.append(label)
    return found


def own_labels(labels: Sequence[str]) -> list[str]:
    """The labels that only somebody's own runner bears, or one that they have ordered. One that is still an expression is not judged."""
    return [label for label in labels if "${{" not in label and label.lower() not in _KNOWN and not _HOSTED.fullmatch(label.lower())]

"""Looks at the machine: programs, limits, room, namespaces. Whatever goes wrong is a finding."""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
from collections.abc import Iterator

from sparki_daemon.doctor.finding import ERROR, OK, WARNING, Finding
from sparki_daemon.pipeline.amounts import size_text
from sparki_daemon.system import disk
from sparki_daemon.system.namespace import pid_namespaces_work
from sparki_daemon.vault import keyrings

GIT_LEAST = (2, 34)
LITTLE_BYTES = 2 * 1024**3
FEW_FILES, FEW_PROCESSES, FEW_WATCHES, FEW_INSTANCES = 1024, 1024, 8192, 128
_ASK_LIMIT_S = 5.0


def git() -> Finding:
    """Whether git is there, and new enough."""
    said = _said(["git", "--version"])
    if said is None:
        return Finding("git", ERROR, "git is not on PATH, and nothing runs without it", "install git 2.34 or newer")
    found = re.search(r"(\d+)\.(\d+)", said)
    if found is None or (int(found[1]), int(found[2])) < GIT_LEAST:
        return Finding("git", ERROR, f"{said.strip()} is too old", "install git 2.34 or newer")
    return Finding("git", OK, said.strip())


def node() -> Finding:
    """Whether JavaScript actions can run."""
    said = _said(["node", "--version"])
    if said is None:
        return Finding("node", WARNING, "node is not on PATH: local JavaScript actions can't run", "install Node.js 20 or newer")
    return Finding("node", OK, f"node {said.strip()}")


def containers() -> Finding:
    """Whether a container engine answers."""
    silent = []
    for name in ("podman", "docker"):
        if shutil.which(name) is None:
            continue
        said = _said([name, "info", "--format", "{{.Host.Arch}}" if name == "podman" else "{{.ServerVersion}}"])
        if said and said.strip():
            return Finding("containers", OK, f"{name} answers")
        silent.append(name)
    if silent:
        hint = f"start it, and see what `{silent[0]} info` says"
        return Finding("containers", WARNING, f"{' and '.join(silent)} is installed and does not answer", hint)
    return Finding(
        "containers", WARNING, "neither podman nor docker is here: jobs with `container` or `services` can't run", "install podman"
    )


def secret_store() -> Finding:
    """Where secrets will be kept."""
    if keyrings.usable():
        return Finding("keyring", OK, f"secrets are kept in the keyring ({keyrings.described()})")
    hint = "fine for many; a keyring (gnome-keyring, KWallet) keeps them from other programs of your account too"
    return Finding(
        "keyring", WARNING, "there is no keyring: secrets are kept in the vault, whose key any program of your account can read", hint
    )


def room(name: str, folder: str) -> Finding:
    """Whether there is room where a folder is, or would be."""
    while not os.path.isdir(folder) and folder != "/":
        folder = os.path.dirname(folder)
    free = disk.free_bytes(folder)
    if free is None:
        return Finding(name, WARNING, f"the system does not say how much room there is at {folder}")
    if disk.is_full(free):
        return Finding(
            name, ERROR, f"the disk at {folder} is full: jobs wait until there is room", "make room; sparki prune drops what is old"
        )
    if free < LITTLE_BYTES and name == "disk":
        return Finding(name, WARNING, f"{size_text(free)} are free at {folder}", "make room; sparki prune drops what is old")
    return Finding(name, OK, f"{size_text(free)} are free at {folder}")


def limits() -> Iterator[Finding]:
    """Descriptors, processes and inotify, as this shell has them."""
    files, processes = resource.getrlimit(resource.RLIMIT_NOFILE)[0], resource.getrlimit(resource.RLIMIT_NPROC)[0]
    yield _enough("descriptors", files, FEW_FILES, "open files a process", "ulimit -n 4096, or LimitNOFILE of your session")
    most = min((one for one in (processes, _number("/proc/sys/kernel/pid_max"), _cgroup_pids()) if one is not None and one > 0), default=-1)
    yield _enough("processes", most, FEW_PROCESSES, "processes", "ulimit -u, or TasksMax of your session or container")
    for name, few in (("max_user_watches", FEW_WATCHES), ("max_user_instances", FEW_INSTANCES)):
        value = _number(f"/proc/sys/fs/inotify/{name}")
        if value is not None:
            yield _enough("inotify", value, few, f"inotify {name.removeprefix('max_user_')}", f"sysctl fs.inotify.{name}={few * 8}")


def namespaces() -> Finding:
    """How strays of a killed runner are found."""
    if pid_namespaces_work():
        return Finding("namespaces", OK, "each runner can have a PID namespace: whatever a job starts ends with it")
    hint = "nothing to do; a daemon that root runs has namespaces"
    message = "no PID namespaces: a process that leaves its session and cleans its environment outlives a killed daemon"
    return Finding("namespaces", WARNING, message, hint)


def _enough(check: str, value: int, few: int, what: str, hint: str) -> Finding:
    if value in (-1, resource.RLIM_INFINITY):
        return Finding(check, OK, f"{what}: no limit")
    return (
        Finding(check, WARNING, f"{what}: at most {value}, which busy jobs may reach", hint)
        if value < few
        else Finding(check, OK, f"{what}: at most {value}")
    )


def _number(path: str) -> int | None:
    try:
        with open(path, encoding="ascii") as file:
            return int(file.read())
    except (OSError, ValueError):  # another system, or "max"
        return None


def _cgroup_pids() -> int | None:
    """The limit of processes of this process's control group. Source: kernel's cgroup-v2.rst, "PID Interface Files"."""
    try:
        with open("/proc/self/cgroup", encoding="utf-8") as file:
            group = next((line.strip().partition("::")[2] for line in file if line.startswith("0::")), "/")
    except OSError:
        return None
    return _number(f"/sys/fs/cgroup{group.rstrip('/')}/pids.max")


def _said(command: list[str]) -> str | None:
    """What a program prints; None: it is not there, fails, or takes too long."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_ASK_LIMIT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None

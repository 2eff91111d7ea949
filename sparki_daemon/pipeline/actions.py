"""The one table of actions that run here without a network: their inputs, and what becomes of each.

Source: the action.yml of each, at the versions of August 2026 (checkout 7, cache 5, upload-artifact 7, download-artifact 8,
setup-python 6, setup-node 6), and GITHUB.md §6.
"""

from __future__ import annotations

from collections.abc import Mapping

from sparki_daemon.model.dataclass import dataclass

HONOURED = ""
"""What `Action.inputs` says of an input that does here what it does on GitHub; any other text says why it does nothing."""

_NO_SIGN_IN = "no token is needed: nothing is fetched from GitHub"
_NO_SSH = "no key is needed: nothing is fetched from GitHub"
_SERVER = "artifacts are kept on this machine"
_HERE_ONLY = "a cache is of this machine alone"
_INSTALLED = "what is installed here is used"


@dataclass(frozen=True, slots=True)
class Action:
    """A native action. `inputs` maps each that its action.yml knows to HONOURED, or to why it is ignored.

    `elsewhere` are inputs that may ask for another repository or run: any other than this one is refused.
    """

    inputs: Mapping[str, str]
    elsewhere: tuple[str, ...] = ()
    provides: tuple[str, ...] = ()  # the programs that steps after it find


def _inputs(honoured: str, **ignored: str) -> dict[str, str]:
    return {**dict.fromkeys(honoured.split(), HONOURED), **{name.replace("_", "-"): why for name, why in ignored.items()}}


_CHECKOUT = _inputs(
    "repository ref path clean filter sparse-checkout sparse-checkout-cone-mode fetch-depth fetch-tags show-progress lfs submodules "
    "set-safe-directory",
    token=_NO_SIGN_IN,
    ssh_key=_NO_SSH,
    ssh_known_hosts=_NO_SSH,
    ssh_strict=_NO_SSH,
    ssh_user=_NO_SSH,
    persist_credentials="there are no credentials to keep",
    github_server_url="the source is this machine's own repository",
)
_CACHE_RESTORE = {**_inputs("path key restore-keys fail-on-cache-miss lookup-only"), "enableCrossOsArchive": _HERE_ONLY}
_CACHE_SAVE = {**_inputs("path key", upload_chunk_size=_SERVER), "enableCrossOsArchive": _HERE_ONLY}
_SETUP_PYTHON = _inputs(
    "python-version python-version-file cache cache-dependency-path update-environment pip-version pip-install",
    architecture=_INSTALLED,
    allow_prereleases=_INSTALLED,
    freethreaded=_INSTALLED,
    check_latest=_INSTALLED,
    token=_NO_SIGN_IN,
)
_SETUP_NODE = _inputs(
    "node-version node-version-file registry-url scope cache package-manager-cache cache-dependency-path",
    architecture=_INSTALLED,
    always_auth="npm knows it no longer",
    check_latest=_INSTALLED,
    token=_NO_SIGN_IN,
    mirror=_INSTALLED,
    mirror_token=_INSTALLED,
)
_UPLOAD = _inputs(
    "name path if-no-files-found overwrite include-hidden-files",
    retention_days="`sparki prune` decides how long artifacts are kept",
    compression_level=_SERVER,
    archive=_SERVER,
)
_DOWNLOAD = _inputs(
    "name artifact-ids path pattern merge-multiple repository run-id",
    github_token=_NO_SIGN_IN,
    skip_decompress=_SERVER,
    digest_mismatch=_SERVER,
)

NATIVE: Mapping[str, Action] = {
    "actions/cache": Action({**_CACHE_RESTORE, **_CACHE_SAVE, "save-always": "a cache is saved when its job succeeds"}),
    "actions/cache/restore": Action(_CACHE_RESTORE),
    "actions/cache/save": Action(_CACHE_SAVE),
    "actions/checkout": Action(_CHECKOUT, elsewhere=("repository",)),
    "actions/download-artifact": Action(_DOWNLOAD, elsewhere=("repository", "run-id")),
    "actions/setup-node": Action(_SETUP_NODE, provides=("node", "npm", "npx", "corepack")),
    "actions/setup-python": Action(_SETUP_PYTHON, provides=("python", "python3", "pip", "pip3")),
    "actions/upload-artifact": Action(_UPLOAD),
}


def action_name(uses: str) -> str:
    """The name of a remote action without its version, in lower case: `actions/Cache/restore@v4` is `actions/cache/restore`.

    Empty for what names none: a local path, an image, or a word without owner or version.
    """
    if is_local(uses) or uses.startswith(("$/", "docker://")):
        return ""
    name, _, ref = uses.strip().partition("@")
    parts = [part for part in name.replace("\\", "/").split("/") if part]
    return "/".join(parts).lower() if len(parts) >= 2 and ref and "@" not in ref else ""


def is_local(uses: str) -> bool:
    """Whether `uses` names a folder of the workspace, which need not be there before the step runs."""
    return uses.startswith(("./", ".\\"))


def native(uses: str) -> Action | None:
    """The native action that `uses` names, whichever version; None where there is none."""
    return NATIVE.get(action_name(uses))

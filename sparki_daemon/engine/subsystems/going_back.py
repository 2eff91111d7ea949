"""Which release a rollback may bring, and what is said where there is none."""

from __future__ import annotations

from sparki_daemon.model.problem import ExitCode, Problem, SparkiError
from sparki_daemon.store import deployments, environments, releases
from sparki_daemon.store.deployments_of_release import once_live
from sparki_daemon.store.protocol import Tx
from sparki_daemon.store.releases import ReleaseRow


async def live_release(tx: Tx, project: str, environment: str) -> ReleaseRow:
    """What is live there. Raises SparkiError `nothing_live`."""
    known = await environments.get(tx, project, environment)
    row = await releases.get(tx, known.live) if known and known.live else None
    if row is None:
        hint = f"sparki deploy {environment}"
        raise refused("nothing_live", f"nothing is live in '{environment}'", hint=hint, exit_code=ExitCode.NOT_FOUND)
    return row


async def before_live(tx: Tx, project: str, environment: str) -> ReleaseRow:
    """The release that was live before the present one; while one is taken back for a rollback, that which served before it all the time.

    Raises SparkiError: `nothing_live`, `nothing_before`.
    """
    holder = await deployments.get(tx, await deployments.target_holder(tx, f"{project}/{environment}") or "")
    if holder is not None and holder.asked.startswith(deployments.ROLLBACK) and (back := await releases.get(tx, holder.previous)):
        return back  # asked for twice, it goes back by one, however far the first has come
    past = await once_live(tx, project, environment)
    try:
        live = await live_release(tx, project, environment)
    except SparkiError as error:
        last = await releases.get(tx, past[0]) if past else None
        if last is None or last.pruned:
            raise
        hint = f"to bring back what was live last: sparki rollback {environment} {last.number}"
        raise refused("nothing_live", error.problems[0].message, hint=hint, exit_code=error.exit_code) from None
    past = [one for one in past if one != live.id]
    if not past:
        message = f"nothing was live in '{environment}' before release {live.number}"
        raise refused("nothing_before", message, hint=f"sparki releases {environment} lists them", exit_code=ExitCode.NOT_FOUND)
    found = await releases.get(tx, past[0])
    assert found is not None
    return found


def never_live(row: ReleaseRow) -> SparkiError:
    """There is nothing to go back to; and a rollback does not wait for what a deployment waits for."""
    message = f"release {row.number} of '{row.environment}' ({row.id}) was never live: there is nothing to go back to"
    hint = f"to deploy it: sparki deploy {row.environment} --release {row.number}"
    return refused("never_live", message, hint=hint, exit_code=ExitCode.NOT_FOUND)


def pruned(row: ReleaseRow) -> SparkiError:
    message = f"release {row.number} of '{row.environment}' ({row.id}) was pruned: its artifact is no longer kept"
    hint = f"deploy its commit anew: sparki deploy {row.environment} --ref {row.commit[:12]}"
    return refused("release_pruned", message, hint=hint, exit_code=ExitCode.NOT_FOUND)


def refused(code: str, message: str, *, hint: str = "", exit_code: ExitCode = ExitCode.USAGE) -> SparkiError:
    return SparkiError(Problem(code=code, message=message, hint=hint), exit_code=exit_code)

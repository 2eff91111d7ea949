"""From a folder to plans: the repository, its snapshot, the pipelines that are meant, each planned for its event.

Git is read here and nothing is written but the snapshot's own objects; the engine and `--plan` share it.
"""

from sparki_daemon.prepare.planned import Planned, Prepared, prepare

__all__ = ["Planned", "Prepared", "prepare"]

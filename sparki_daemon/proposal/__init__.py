"""From the files of a repository to a pipeline that nobody has written yet: what was detected, by which file, and which commands follow.

Pure: it is given the paths of a tree and the contents of a few files (`wanted`), and reads nothing itself.
"""

from sparki_daemon.proposal.found import Found, Job, Step
from sparki_daemon.proposal.propose import Proposal, propose, wanted

__all__ = ["Found", "Job", "Proposal", "Step", "propose", "wanted"]

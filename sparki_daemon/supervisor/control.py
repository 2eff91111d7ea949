"""What the supervisor and the engine say to each other: JSON lines over an inherited socket pair.

The engine asks `{"do": "spawn"}` (one more runner), `{"do": "sweep"}` (end what runners left that were not the supervisor's children),
`{"do": "loco"}` (there is a deployment to bring on), `{"do": "stop"}` (end everything), `{"do": "restart"}` (start anew, keep the rest).
The supervisor tells `{"runners": {name: pid}, "tag": …}` once an engine starts (names of runners that it forked itself begin with
the tag: the others run an older program), then `{"born": name, "pid": pid}` and
`{"died": name, "pid": pid, "status": wait status}`; the latter only after the runner's tree is gone.
"""

from __future__ import annotations

LISTEN_FD, CONTROL_FD = 3, 4  # where the engine finds the listening socket and its end of the pair
DEATH_FD = 3  # where loco finds the pipe whose end is the supervisor's death

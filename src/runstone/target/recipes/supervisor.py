"""Runs a server, and ends its whole process group when the harness is gone, however the harness ended.

    python -I -S supervisor.py PID COMMAND…

`PID` is the harness, which holds the other end of standard input. This process leads the group that the
server runs in, so that the group's number cannot become another's while anything of it runs. It ends as the
server ended, once nothing else of the group runs. It imports little: a start takes it 25 ms.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
import time
from collections.abc import Iterator

_POLL_S = 0.02
# Where a process that the harness forked holds a copy of the pipe's other end, only the parent tells.
_ORPHANED_S = 1.0
_NOTHING = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)]


def main() -> None:
    """Run the command and end with its exit code, or by the signal that ended it."""
    # It is meant for the server, which gets it too. A handler, unlike SIG_IGN, is not inherited.
    signal.signal(signal.SIGTERM, lambda *_: None)
    harness, command = int(sys.argv[1]), sys.argv[2:]
    try:
        server = os.posix_spawnp(command[0], command, os.environ, file_actions=_NOTHING)
    except OSError as error:
        sys.exit(f"cannot start {command[0]}: {error.strerror}")
    threading.Thread(target=_end_with, args=(harness,), daemon=True).start()
    code = os.waitstatus_to_exitcode(os.waitpid(server, 0)[1])
    while any(each != os.getpid() for each in running(os.getpgid(0))):
        time.sleep(_POLL_S)  # what the server has started may take longer to end in good order
    if code < 0:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    sys.exit(code)


def _end_with(harness: int) -> None:
    """SIGKILL to the group, this process included, once the pipe is closed or another is its parent."""
    while not select.select([0], [], [], _ORPHANED_S)[0] and os.getppid() == harness:
        pass
    os.killpg(0, signal.SIGKILL)


def running(group: int) -> Iterator[int]:
    """The processes of a group that run, by /proc; none where there is no such folder.

    Zombies do not run: in a container nobody may ever collect them.
    """
    names = os.listdir("/proc") if os.path.isdir("/proc") else []  # noqa: PTH112, PTH208 - pathlib takes 10 ms
    for name in names:
        if name.isdecimal() and _is_running(name, group):
            yield int(name)


def _is_running(pid: str, group: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:  # noqa: PTH123
            state, _, its_group = stat.read().rpartition(")")[2].split()[:3]
    except (OSError, ValueError):
        return False  # it ended between the listing and the reading
    return int(its_group) == group and state not in {"Z", "X"}


if __name__ == "__main__":
    main()

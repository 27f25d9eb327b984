"""What a run leaves on the machine, and how it is removed, whether the run has ended well or was killed.

Each run has a folder under FOLDER and holds a lock in it as long as it lives: the kernel frees the lock of a dead one. All
processes of a run carry its id in their environment, all its interfaces in their names; nothing else is touched, so that
other Mininets may run beside it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FOLDER = Path("/run/intransit-testbed")
MARK = "INTRANSIT_TESTBED"

# Where agents pin programs and maps, and lock their names. The name of an agent begins with the prefix of its run.
OF_AGENTS = (Path("/sys/fs/bpf/intransit"), Path("/run/intransit"))


class Run:
    """One run of the testbed. Its id is short: an interface's name has at most 15 characters."""

    def __init__(self, run_id: str) -> None:
        self.id = run_id
        self.folder = FOLDER / run_id
        self._lock: int | None = None

    @property
    def prefix(self) -> str:
        return f"it{self.id}-"

    def claim(self) -> bool:
        """Takes the lock. @returns False where a living process has it"""
        try:
            fd = os.open(self.folder / "lock", os.O_CREAT | os.O_RDWR, 0o600)
        except FileNotFoundError:
            return False  # Somebody else has just removed it.
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return False
        self._lock = fd
        return True

    def remove(self) -> None:
        """Ends what still runs and takes away what is left. Logs stay: they are not in this folder."""
        kill(self.processes())
        for interface in os.listdir("/sys/class/net"):
            if interface.startswith(self.prefix):
                subprocess.run(["ip", "link", "del", interface], stderr=subprocess.DEVNULL, check=False)
        remove_of_agents(self.prefix)
        shutil.rmtree(self.folder, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)

    def processes(self) -> list[int]:
        """All that have inherited the mark, this process apart."""
        mark = f"{MARK}={self.id}".encode()
        found = []
        for entry in os.listdir("/proc"):
            try:
                if entry.isdigit() and int(entry) != os.getpid():
                    if mark in Path("/proc", entry, "environ").read_bytes().split(b"\0"):
                        found.append(int(entry))
            except OSError:
                pass  # It has ended.
        return found


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """No run may take another for dead that has its folder already and not yet its lock."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with open(FOLDER / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def new_run() -> Run:
    """A run with an id of its own; children inherit its mark. Removes first what killed runs have left."""
    with one_at_a_time():
        sweep()
        run = Run(f"{os.getpid():x}")
        run.folder.mkdir(mode=0o700)  # Sockets of the switches are in it.
        if not run.claim():
            raise RuntimeError(f"{run.folder} is another's")
    os.environ[MARK] = run.id
    return run


def remove_dead() -> list[str]:
    """@returns the ids of the killed runs whose leftovers were removed"""
    with one_at_a_time():
        return sweep()


def sweep() -> list[str]:
    dead = [run for run in map(Run, sorted(os.listdir(FOLDER))) if run.id[0] != "." and run.claim()]
    for run in dead:
        run.remove()
    return [run.id for run in dead]


def kill(pids: list[int]) -> None:
    """Ends processes and waits until they are gone: their interfaces and sockets are free then."""
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and any(map(is_alive, pids)):
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    """A zombie counts as dead: only its parent can take it away."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (OSError, IndexError):
        return False


def remove_of_agents(prefix: str) -> None:
    for entry in [entry for folder in OF_AGENTS for entry in folder.glob(f"{prefix}*")]:
        if entry.is_dir():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)

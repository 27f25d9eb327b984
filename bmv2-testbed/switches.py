"""Mininet's switches that are driven over P4Runtime: BMv2, or an agent with an XDP program on each of its interfaces."""

from __future__ import annotations

import ctypes
import signal
import subprocess
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from mininet.node import Switch

PROJECT = Path(__file__).resolve().parent.parent
STOP_SECONDS = 5.0
PR_SET_PDEATHSIG = 1
libc = ctypes.CDLL(None)


def die_with_parent() -> None:
    """In the child: the kernel kills it when the testbed is killed."""
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


@dataclass(frozen=True)
class Place:
    """Where a switch listens, writes its log and keeps its state; the same for all its lives."""

    device_id: int
    port: int | None
    socket: Path
    log: Path
    state: Path
    agent_name: str
    log_level: str
    agent_command: list[str]


class P4Switch(Switch):
    """A switch of one process in the namespace of the host, so that loopback reaches it. Port n is its n-th interface."""

    kind = ""

    def __init__(self, name: str, place: Place, **params: object) -> None:
        super().__init__(name, **params)
        self.place = place
        self.process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        raise NotImplementedError

    def interfaces(self) -> list[tuple[int, str]]:
        return [(port, intf.name) for port, intf in sorted(self.intfs.items()) if port > 0]

    @property
    def address(self) -> str:
        """A port of the loopback is open to every user of the machine, so only whoever asks for one gets it."""
        return f"unix:{self.place.socket}" if self.place.port is None else f"127.0.0.1:{self.place.port}"

    def start(self, controllers: object = None) -> None:
        """Starts the process, or starts it again."""
        if self.alive():
            return
        with open(self.place.log, "ab") as log:
            self.process = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=PROJECT,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Ends the process and waits for it. The interfaces stay."""
        if self.process is None:
            return
        self.process.send_signal(how)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def stop(self, deleteIntfs: bool = True) -> None:
        self.end()
        super().stop(deleteIntfs)

    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def log_tail(self, lines: int = 20) -> str:
        try:
            return "\n".join(self.place.log.read_text(errors="replace").splitlines()[-lines:])
        except FileNotFoundError:
            return ""


class Bmv2Switch(P4Switch):
    """simple_switch_grpc without a program: the controller brings it."""

    kind = "bmv2"

    def command(self) -> list[str]:
        ports = [word for port, name in self.interfaces() for word in ("-i", f"{port}@{name}")]
        options = ["--no-p4", "--device-id", f"{self.place.device_id}"]
        log = ["--log-console", "-L", self.place.log_level]
        return ["simple_switch_grpc", *options, *log, *ports, *thrift(), "--", "--grpc-server-addr", self.address]


@lru_cache
def thrift() -> list[str]:
    """Some builds open a second control port, the same for all switches unless told otherwise; 0 is any free one."""
    usage = subprocess.run(["simple_switch_grpc", "--help"], capture_output=True, text=True, check=False)
    return ["--thrift-port", "0"] if "--thrift-port" in usage.stdout + usage.stderr else []


class AgentSwitch(P4Switch):
    """`intransit agent`: this machine's kernel computes and forwards. Generic mode works on any pair of veths."""

    kind = "xdp"

    def command(self) -> list[str]:
        interfaces = [word for port, name in self.interfaces() for word in ("--interface", f"{name}={port}")]
        identity = ["--name", self.place.agent_name, "--device-id", f"{self.place.device_id}"]
        anybody = [] if self.place.port is None else ["--insecure"]
        where = ["--listen", self.address, *anybody, "--state", f"{self.place.state}"]
        return [*self.place.agent_command, "agent", *identity, *where, "--mode", "generic", *interfaces]


DEFAULT_AGENT = ["node", str(PROJECT / "dist/cli/main.js")]


def create(kind: str) -> type[P4Switch]:
    return {"bmv2": Bmv2Switch, "xdp": AgentSwitch}[kind]


def report(switch: P4Switch) -> None:
    """Says why a switch is not there, with the end of its log."""
    code = None if switch.process is None else switch.process.poll()
    print(f"{switch.name} ({switch.kind}) ended with {code}; the end of {switch.place.log}:", file=sys.stderr)
    print(switch.log_tail(), file=sys.stderr, flush=True)

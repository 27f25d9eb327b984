#!/usr/bin/python3 -B
"""A small network on this machine: Mininet hosts, and switches that are BMv2 or agents with XDP programs.

  sudo bmv2-testbed/testbed.py chain --switches bmv2,xdp,bmv2 --cli   a shell to try things in
  sudo bmv2-testbed/testbed.py single                                 prints what there is as JSON, and waits
  sudo bmv2-testbed/testbed.py check                                  whether this machine can do it
  sudo bmv2-testbed/testbed.py clean                                  removes what killed runs have left

Without --cli the first line on stdout is one JSON document. Then each line on stdin is a command, `start`, `stop` or `kill`
with the name of a switch, and is answered by a line. All ends with the end of stdin, SIGTERM or SIGINT.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

from deployment import deployment
from leftovers import Run, new_run, remove_dead
from topologies import TOPOLOGIES, is_switch, nodes

LOGS = Path("/var/log/intransit-testbed")
KINDS = ("bmv2", "xdp")
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# In which a switch that cannot start has ended.
START_SECONDS = 0.5
OFFLOADS = ("tx", "rx", "sg", "tso", "gso", "gro")


def arguments() -> argparse.Namespace:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("what", choices=[*TOPOLOGIES, "check", "clean"])
    parser.add_argument("--switches", default="bmv2", help="kind of each switch, s1 first: bmv2 or xdp; one stands for all")
    parser.add_argument("--cli", action="store_true", help="open Mininet's shell")
    parser.add_argument(
        "--port",
        type=int,
        help="P4Runtime over TCP, for any user of this machine: port of s1, the next one of s2 (0: any free ones)",
    )
    parser.add_argument("--model", type=Path, help="with --deployment")
    parser.add_argument("--layers", default="", help="with --deployment: of each switch, s1 first: 0..1,1..2,2..3")
    parser.add_argument("--deployment", type=Path, help="file to write for `intransit deploy`: --model over the switches")
    parser.add_argument("--logs", type=Path, help=f"folder for the switches' logs (default: one under {LOGS})")
    parser.add_argument("--log-level", default="warn", help="BMv2: trace shows each step of each packet (default: warn)")
    parser.add_argument("--agent", default="", help="command that stands before `agent` (default: node dist/cli/main.js)")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    if options.what == "check":
        return check()
    if options.what == "clean":
        return clean()
    links = TOPOLOGIES[options.what]
    switches = [name for name in nodes(links) if is_switch(name)]
    kinds = kinds_of(options.switches, switches)
    if options.deployment and (options.model is None or options.layers.count(",") + 1 != len(switches)):
        fail(f"--deployment needs --model, and --layers for {len(switches)} switches")
    for problem in problems():
        fail(problem)
    # In Mininet's shell SIGINT ends a command, not the shell.
    for number in SIGNALS[1:] if options.cli else SIGNALS:
        signal.signal(number, lambda *_: sys.exit(0))
    run = new_run()
    try:
        net = build(run, options, links, dict(zip(switches, kinds)))
        net.start()
        serve(net, options, run)
    finally:
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        run.remove()
    return 0


def fail(reason: str) -> NoReturn:
    print(f"testbed: {reason}", file=sys.stderr)
    sys.exit(1)


def kinds_of(given: str, switches: list[str]) -> list[str]:
    kinds = given.split(",")
    kinds = kinds * len(switches) if len(kinds) == 1 else kinds
    if len(kinds) != len(switches):
        fail(f"{len(switches)} switches, but {len(kinds)} kinds: {given}")
    for kind in kinds:
        if kind not in KINDS:
            fail(f"no such kind of switch: {kind}; there are {' and '.join(KINDS)}")
    return kinds


def problems() -> list[str]:
    """What stands in the way on this machine."""
    if os.getuid() != 0:
        return ["making namespaces needs root: use sudo"]
    missing = [tool for tool in ("mnexec", "ip", "ethtool", "ifconfig") if shutil.which(tool) is None]
    if missing:
        return [f"{', '.join(missing)} missing: apt-get install mininet iproute2 ethtool"]
    try:
        import mininet.net  # noqa: F401
    except ImportError as error:
        return [f"{sys.executable} has no Mininet: {error}"]
    trial = ["mnexec", "-n", "ip", "link", "add", "veth0", "type", "veth", "peer", "name", "veth1"]
    done = subprocess.run(trial, capture_output=True, text=True, check=False)
    return [] if done.returncode == 0 else [f"this machine lets nobody make network namespaces: {done.stderr.strip()}"]


def check() -> int:
    found = problems()
    bmv2 = shutil.which("simple_switch_grpc") is not None
    print(json.dumps({"problems": found, "bmv2": bmv2}))
    return 1 if found else 0


def clean() -> int:
    """Removes what dead runs have left, and all logs but those of living ones."""
    print(json.dumps({"removed": remove_dead()}))
    for logs in LOGS.glob("*"):
        if not Run(logs.name).folder.exists():
            shutil.rmtree(logs, ignore_errors=True)
    return 0


def build(run: Run, options: argparse.Namespace, links: list[tuple[str, str]], kinds: dict[str, str]) -> Any:
    """The network with its wires; its switches do not run yet."""
    from mininet.net import Mininet
    from switches import DEFAULT_AGENT, Place, create

    # It would raise limits and sysctls of the whole machine, for networks of hundreds of hosts.
    Mininet.inited = True
    net = Mininet(controller=None, autoSetMacs=True, ipBase="10.0.0.0/24")
    logs = options.logs or LOGS / run.id
    logs.mkdir(parents=True, exist_ok=True)
    agent = shlex.split(options.agent) or DEFAULT_AGENT
    for kind, tool in {"bmv2": "simple_switch_grpc", "xdp": agent[0]}.items():
        if kind in kinds.values() and shutil.which(tool) is None:
            fail(f"{tool} is not on the PATH; sudo may have changed it: sudo env PATH=$PATH {sys.argv[0]} ...")
    for name in [name for name in nodes(links) if not is_switch(name)]:
        net.addHost(name)
    for number, (name, kind) in enumerate(kinds.items()):
        place = Place(
            device_id=number + 1,
            port=None if options.port is None else free_port(options.port + number if options.port else 0),
            socket=run.folder / f"{name}.sock",
            log=logs / f"{name}.log",
            state=run.folder / name,
            agent_name=f"{run.prefix}{name}",
            log_level=options.log_level,
            agent_command=agent,
        )
        net.addSwitch(name, cls=create(kind), place=place)
    for one, other in links:
        wire(net, run, one, other)
    net.build()
    net.staticArp()
    return net


def free_port(wanted: int) -> int:
    """The port wanted, or any. gRPC servers share a port that is taken, and each would get some of the connections."""
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            fail(f"port {wanted} is taken; --port names others")
        return int(probe.getsockname()[1])


def wire(net: Any, run: Run, one: str, other: str) -> None:
    names = [interface_name(net[name], run) for name in (one, other)]
    link = net.addLink(one, other, intfName1=names[0], intfName2=names[1])
    for end in (link.intf1, link.intf2):
        quieten(end)


def interface_name(node: Any, run: Run) -> str:
    """Interfaces of switches are in the host's namespace: their names say whose they are."""
    port = node.newPort()
    return f"{run.prefix}{node.name}-{port}" if is_switch(node.name) else f"{node.name}-eth{port}"


def quieten(end: Any) -> None:
    """
    A checksum that is left to the hardware never gets written on a veth: a switch that reads packets sees a wrong one. Nor
    does a switch know frames that are longer than the wire allows. And nobody here speaks IPv6.
    """
    end.cmd("ethtool -K", end.name, " ".join(f"{feature} off" for feature in OFFLOADS))
    end.cmd(f"echo 1 > /proc/sys/net/ipv6/conf/{end.name}/disable_ipv6")


def describe(net: Any, options: argparse.Namespace, run: Run) -> dict[str, Any]:
    """What the world outside needs to know: hosts, switches with their ports, links."""

    def peer(interface: Any) -> dict[str, str]:
        link = interface.link
        far = link.intf2 if link.intf1 is interface else link.intf1
        return {"node": far.node.name, "interface": far.name}

    hosts = [
        {"name": h.name, "pid": h.pid, "ip": h.IP(), "mac": h.MAC(), "interface": h.defaultIntf().name} for h in net.hosts
    ]
    switches = [
        {
            "name": s.name,
            "kind": s.kind,
            "address": s.address,
            "deviceId": s.place.device_id,
            "pid": s.process.pid,
            "log": str(s.place.log),
            "ports": [{"port": p, "interface": name, "peer": peer(s.intfs[p])} for p, name in s.interfaces()],
        }
        for s in net.switches
    ]
    links = [[link.intf1.node.name, link.intf2.node.name] for link in net.links]
    return {
        "run": run.id,
        "topology": options.what,
        "hosts": hosts,
        "switches": switches,
        "links": links,
        "deployment": deployment(hosts, switches),
    }


def write_deployment(plain: dict[str, Any], options: argparse.Namespace) -> None:
    devices = [{**device, "layers": layers} for device, layers in zip(plain["devices"], options.layers.split(","))]
    model = {"file": str(options.model.resolve())}
    options.deployment.write_text(json.dumps({**plain, "model": model, "devices": devices}, indent=2) + "\n")


def say(document: dict[str, Any]) -> None:
    print(json.dumps(document), flush=True)


def serve(net: Any, options: argparse.Namespace, run: Run) -> None:
    document = describe(net, options, run)
    if options.deployment:
        write_deployment(document["deployment"], options)
    if not options.cli:
        say(document)
        wait(net)
        return
    from mininet.cli import CLI
    from switches import report

    time.sleep(START_SECONDS)
    for switch in net.switches:
        if not switch.alive():
            report(switch)
    for host in document["hosts"]:
        print(f"{host['name']}: {host['ip']}")
    for switch in document["switches"]:
        ports = ", ".join(f"port {p['port']} to {p['peer']['node']}" for p in switch["ports"])
        print(f"{switch['name']}: {switch['kind']} at {switch['address']}, device {switch['deviceId']}; {ports}")
        print(f"    log {switch['log']}")
    print("help lists the commands of this shell; exit ends all")
    CLI(net)


def wait(net: Any) -> None:
    """Obeys commands until stdin ends or the parent has died. Says it when a switch ends of its own accord."""
    from switches import report

    parent = os.getppid()
    expected = {switch.name for switch in net.switches}
    pending = b""
    while os.getppid() == parent:
        for switch in net.switches:
            if switch.name in expected and not switch.alive():
                expected.discard(switch.name)
                report(switch)
        if not select.select([0], [], [], 0.5)[0]:
            continue
        chunk = os.read(0, 4096)
        if not chunk:
            return
        *lines, pending = (pending + chunk).split(b"\n")
        for line in lines:
            say(obey(net, expected, line.decode().split()))


def obey(net: Any, expected: set[str], words: list[str]) -> dict[str, Any]:
    """`start s1`, `stop s1` (as it wishes) or `kill s1` (at once)."""
    by_name = {switch.name: switch for switch in net.switches}
    if len(words) != 2 or words[0] not in ("start", "stop", "kill") or words[1] not in by_name:
        return {"error": f"not understood: {' '.join(words)}"}
    verb, switch = words[0], by_name[words[1]]
    if verb == "start":
        switch.start()
        expected.add(switch.name)
    else:
        expected.discard(switch.name)
        switch.end(signal.SIGKILL if verb == "kill" else signal.SIGTERM)
    return {"switch": switch.name, "pid": switch.process.pid, "alive": switch.alive()}


if __name__ == "__main__":
    sys.exit(main())

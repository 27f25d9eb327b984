"""What `intransit deploy` needs to know of the network: its devices, and the way to each host."""

from __future__ import annotations

from collections import deque
from typing import Any

KINDS = {"bmv2": "v1model", "xdp": "xdp"}


def deployment(hosts: list[dict[str, Any]], switches: list[dict[str, Any]]) -> dict[str, Any]:
    """A deployment file without a model and without layers. Packets go to each host by the shortest way."""
    devices = [
        {
            "name": switch["name"],
            "kind": KINDS[switch["kind"]],
            "address": switch["address"],
            "deviceId": switch["deviceId"],
            "routes": [{"prefix": h["ip"], "port": port_to(switch["name"], h["name"], switches)} for h in hosts],
        }
        for switch in switches
    ]
    return {"format": "intransit-deployment", "version": 1, "devices": devices}


def port_to(start: str, goal: str, switches: list[dict[str, Any]]) -> int:
    """Breadth first; of ways of the same length the one by the lower port."""
    ports = {s["name"]: [(p["port"], p["peer"]["node"]) for p in s["ports"]] for s in switches}
    seen = {start}
    edge = deque(ports[start])
    while edge:
        first, node = edge.popleft()
        if node == goal:
            return first
        if node in ports and node not in seen:
            seen.add(node)
            edge.extend((first, far) for _, far in ports[node])
    raise ValueError(f"no way from {start} to {goal}")

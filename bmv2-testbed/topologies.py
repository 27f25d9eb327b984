"""The networks of the testbed: who is wired to whom. A switch numbers its ports in the order of its links, from 1."""

from __future__ import annotations

# h1 asks, h2 answers or is asked, w1 is the place of a worker that finishes what the path has left.
TOPOLOGIES: dict[str, list[tuple[str, str]]] = {
    "single": [("h1", "s1"), ("s1", "h2"), ("s1", "w1")],
    "chain": [("h1", "s1"), ("s1", "s2"), ("s2", "s3"), ("s3", "h2"), ("s3", "w1")],
    "diamond": [("h1", "s1"), ("s1", "s2"), ("s1", "s3"), ("s2", "s4"), ("s3", "s4"), ("s4", "h2"), ("s4", "w1")],
}


def is_switch(name: str) -> bool:
    return name.startswith("s")


def nodes(links: list[tuple[str, str]]) -> list[str]:
    return sorted({name for link in links for name in link})

"""Rewrite `jars.lock.json` from `versions.py`: resolves the dependency trees and notes every jar's sha256.

Run by a person when upgrading (`python -m stack.lock`), never at start.
"""

import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Final

import msgspec
from jgo.maven import MavenContext

from stack import versions
from stack.jars import LOCK_FILE, Jar, download, sha256_of

_THREADS: Final = 8


def coordinates(server: str, repository: Path) -> list[str]:
    """Everything one server needs at run time: roots and extras first, then the rest by name."""
    context = MavenContext(repo_cache=repository)
    inputs, transitive = context.resolver.resolve([context.create_dependency(root) for root in versions.ROOTS[server]])
    found = {":".join(filter(None, (d.groupId, d.artifactId, d.version, d.classifier))) for d in (*inputs, *transitive)}
    first = (*versions.ROOTS[server], *versions.EXTRAS[server])
    return [*first, *sorted(found.difference(first))]


def lock_one(coordinate: str, repository: Path) -> Jar:
    """Fetch a jar once to learn its sum."""
    path = download(coordinate, repository)
    return Jar(coordinate, path.name, sha256_of(path))


def main() -> None:
    """Resolve, fetch and write."""
    document: dict[str, list[dict[str, str]]] = {}
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(_THREADS) as pool:
        for server in versions.ROOTS:
            repository = Path(scratch) / server
            jars = pool.map(lock_one, found := coordinates(server, repository), [repository] * len(found))
            document[server] = [asdict(jar) for jar in jars]
            print(f"{server}: {len(document[server])} jars")
    LOCK_FILE.write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n")


if __name__ == "__main__":
    main()

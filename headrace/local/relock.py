"""Writes jars.lock anew: resolves the Java servers' dependencies once and records what was found.

Run by a developer after a version change (``python -m headrace.local.relock``); never at run time, because a
resolution reads hundreds of POMs and trusts checksums that the repository itself sends.
"""

import hashlib
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from headrace.local.jars import LOCK_FILE, Jar

KAFKA = "org.apache.kafka:kafka_2.13:4.3.1"
# Raw (``!``): joined coordinates are otherwise taken as BOMs, and log4j's would pin kafka-clients to 3.8.
SLF4J_BINDING = "org.apache.logging.log4j:log4j-slf4j-impl:2.25.4!"
ELASTICSEARCH = "org.elasticsearch:elasticsearch:8.14.3"
NETTY_MODULE = "org.elasticsearch.plugin:transport-netty4:8.14.3"

HEADER = "# bundle group:artifact:version sha256 bytes; written by python -m headrace.local.relock\n"


def _closure(cache: Path, *coordinates: str) -> list[tuple[str, str, str]]:
    from jgo.maven import MavenContext  # noqa: PLC0415  an optional package, needed only here

    context = MavenContext(repo_cache=cache, timeout=30)
    inputs, transitive = context.resolver.resolve([context.create_dependency(c) for c in coordinates])
    return [(found.groupId, found.artifactId, found.version) for found in (*inputs, *transitive)]


def _locked(cache: Path, bundle: str, closure: list[tuple[str, str, str]]) -> Iterator[str]:
    from jgo.maven import MavenContext  # noqa: PLC0415  an optional package, needed only here

    context = MavenContext(repo_cache=cache, timeout=60)
    for group, artifact, version in closure:
        path = context.project(group, artifact).at_version(version).artifact().resolve()
        content = path.read_bytes()
        jar = Jar(bundle, group, artifact, version, hashlib.sha256(content).hexdigest(), len(content))
        yield jar.line()


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        cache = Path(scratch)
        core = _closure(cache, ELASTICSEARCH)
        bundles = {
            "kafka": _closure(cache, KAFKA, SLF4J_BINDING),
            "elasticsearch": core,
            "elasticsearch-netty": [jar for jar in _closure(cache, NETTY_MODULE) if jar not in core],
        }
        lines = [line for bundle, closure in bundles.items() for line in _locked(cache, bundle, closure)]
    LOCK_FILE.write_text(HEADER + "\n".join(lines) + "\n")
    sys.stdout.write(f"{len(lines)} jars locked in {LOCK_FILE}\n")


if __name__ == "__main__":
    main()

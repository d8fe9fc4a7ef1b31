"""What the demo shows while it runs."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass, field
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from loadgen.drive import Books

_SHOWN: Final = ("viewCount5m", "cartAddCount24h", "revenue30d", "recentItems")


@dataclass(slots=True)
class Progress:
    """A run as far as it is."""

    books: Books
    planned: int
    watched: dict[str, dict[str, Any] | None]
    began: float = field(default_factory=time.monotonic)
    sending_seconds: float | None = None
    verified: int = 0
    to_verify: int = 0

    def note_verified(self, done: int, total: int) -> None:
        """Called for every user that was compared."""
        self.verified, self.to_verify = done, total

    def line(self) -> str:
        """Everything in one line."""
        if self.sending_seconds is not None:
            return f"verifying users {self.verified}/{self.to_verify}"
        books, latest = self.books, self.books.freshness_ms[-200:]
        p50, p99 = percentile(latest, 50), percentile(latest, 99)
        fresh = "" if p50 is None else f", fresh in {p50:.0f} ms (p50), {p99:.0f} ms (p99)"
        rate = books.accepted / max(0.001, time.monotonic() - self.began)
        return (
            f"sent {books.sent}/{self.planned}: {books.accepted} accepted ({rate:.0f}/s), {books.rejected} rejected, "
            f"{books.retried} retried, {books.duplicates_sent} known already{fresh}"
        )

    def user_lines(self) -> list[str]:
        """The watched users whose features are known."""
        return [
            f"{user_id}: " + ", ".join(f"{name} {_cell(values.get(name))}" for name in _SHOWN)
            for user_id, values in self.watched.items()
            if values is not None
        ]


def percentile(samples: list[float], percent: int) -> float | None:
    """Of at least two samples, else None."""
    if len(samples) < 2:
        return None
    return round(statistics.quantiles(samples, n=100, method="inclusive")[percent - 1], 1)


def render(progress: Progress) -> RenderableType:
    """A frame for a terminal."""
    users = Table(box=None, pad_edge=False)
    users.add_column("user", style="cyan")
    for name in _SHOWN:
        users.add_column(name, justify="left" if name == "recentItems" else "right")
    for user_id, values in progress.watched.items():
        users.add_row(user_id, *(_cell(values.get(name)) if values else "" for name in _SHOWN))
    return Group(Text(progress.line()), users)


def _cell(value: object) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value[:4]))
    return f"{value:.2f}" if isinstance(value, float) else str(value)

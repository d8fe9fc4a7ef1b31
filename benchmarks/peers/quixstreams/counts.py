"""Idiomatic Quix Streams: counts per user, kept in its state store or in tumbling windows of an hour.

Argument: {"kafka", "topic", "group", "records", "windowed", "results"}.
"""

from __future__ import annotations

import json
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

from quixstreams import Application
from quixstreams.models import TopicConfig  # noqa: F401  # fails early where another package has this name

from benchmarks.meter import Meter

arguments: dict[str, Any] = json.loads(sys.argv[1])
meter = Meter()
results: dict[str, int] = {}

app = Application(
    broker_address=arguments["kafka"],
    consumer_group=arguments["group"],
    auto_offset_reset="earliest",
    state_dir=f"{arguments['results']}.state",
    loglevel="WARNING",
)
views = app.topic(
    arguments["topic"],
    key_deserializer="str",
    value_deserializer="json",
    timestamp_extractor=lambda value, headers, timestamp, timestamp_type: value["eventTime"],
)
stream = app.dataframe(views)


def count(view: dict[str, Any], state: Any) -> int:
    """The user's new count."""
    meter.begin()
    total: int = state.get("count", default=0) + 1
    state.set("count", total)
    return total


def note_total(total: int, key: str, timestamp: int, headers: object) -> None:
    """Remember the count for the comparison with the truth."""
    results[key] = total


def note_window(window: dict[str, Any], key: str, timestamp: int, headers: object) -> None:
    """The same for a window."""
    results[f"{key}@{window['start']}"] = window["value"]


def begin(view: dict[str, Any]) -> None:
    """The first event has come."""
    meter.begin()


if arguments["windowed"]:
    stream = stream.update(begin)
    stream = stream.tumbling_window(timedelta(hours=1)).count().current()
    stream.update(note_window, metadata=True)
else:
    stream.apply(count, stateful=True).update(note_total, metadata=True)

app.run(count=arguments["records"], collect=False)
meter.report("", arguments["records"])
Path(arguments["results"]).write_text(json.dumps(results))

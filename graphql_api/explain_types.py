"""GraphQL types of an explanation: where a feature's value comes from."""

from __future__ import annotations

from datetime import datetime

import strawberry
from strawberry.scalars import JSON

from graphql_api.event_types import Event
from graphql_api.explaining import Explained, inputs_as_json
from graphql_api.feature_types import ListedFeature, json_value, listed_value
from graphql_api.scalars import moment


@strawberry.type(description="A cell of the window that is not empty.")
class ExplainedCell:
    starts_at: datetime = strawberry.field(description="Its lower edge.")
    amounts: JSON = strawberry.field(description="What it holds, by measure.")


@strawberry.type(description="A place in the events topic.")
class LogPosition:
    epoch: int = strawberry.field(description="How often the topic was made anew.")
    partition: int = strawberry.field(description="Partition of the user.")
    offset: str = strawberry.field(description="Offset of the last record that was folded, as a decimal number.")


@strawberry.type(description="Where a feature's value comes from, and whether the timeline gives the same.")
class FeatureExplanation:
    feature: ListedFeature = strawberry.field(description="The value that is explained.")
    formula: str = strawberry.field(description="How it is computed from the measures.")
    measures: JSON = strawberry.field(description="The definitions of the measures, by name.")
    hop_seconds: int | None = strawberry.field(description="Width of a cell; null without a window of cells.")
    cells: list[ExplainedCell] = strawberry.field(description="The cells that were added up, oldest first.")
    inputs: JSON = strawberry.field(description="What a measure outside of cells keeps, by measure.")
    last_events: list[Event] = strawberry.field(description="The newest events of the measures, newest first.")
    position: LogPosition | None = strawberry.field(description="How far the log was folded; null for an unknown user.")
    state_version: str = strawberry.field(description="Version of the row in us, as a decimal number.")
    undone_events: int = strawberry.field(description="Events of the user that were taken back.")
    recomputed: JSON | None = strawberry.field(description="The value by a new fold of the timeline; null if not done.")
    recomputed_from: int = strawberry.field(description="Events of the timeline that were looked at.")
    differs: bool = strawberry.field(description="ALARM: the timeline gives another value than the one served.")
    reason: str | None = strawberry.field(
        description="Why the value was not recomputed, or why another value is no alarm; else null."
    )

    @classmethod
    def of(cls, explained: Explained) -> FeatureExplanation:
        """The explanation as GraphQL shows it."""
        explanation = explained.explanation
        position = explanation.position
        return cls(
            feature=listed_value(explanation.feature),
            formula=explanation.formula,
            measures=JSON(explanation.measures),
            hop_seconds=None if explanation.hop_ms is None else explanation.hop_ms // 1000,
            cells=[
                ExplainedCell(starts_at=moment(cell.starts_ms), amounts=JSON(cell.amounts))
                for cell in explanation.cells
            ],
            inputs=JSON(inputs_as_json(explanation)),
            last_events=[Event.of(entry) for entry in explained.last_events],
            position=None
            if position is None
            else LogPosition(epoch=position.epoch, partition=position.partition, offset=str(position.offset)),
            state_version=str(explanation.state_version),
            undone_events=explanation.undone_events,
            recomputed=None if explained.recomputed is None else json_value(explained.recomputed),
            recomputed_from=explained.recomputed_from,
            differs=explained.differs,
            reason=explained.reason,
        )

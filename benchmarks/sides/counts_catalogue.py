"""The counts that the peers keep, as a catalogue."""

from features.catalogue import Catalogue, Count, Windowed
from features.definitions import ANY

CATALOGUE = Catalogue(
    measures=[Count("events", of=ANY)],
    features=[
        Windowed("eventCount1h", "events", window="1h", doc="Events of the last hour."),
        Windowed("eventCount24h", "events", window="24h", doc="Events of the last 24 hours."),
    ],
)

"""Every metric there is. All live in one registry of our own, so that nothing is exported by accident."""

from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
REGISTRY: Final = CollectorRegistry()

# The objective of a request and of a flush lies at tens of milliseconds, the deadlines at seconds.
_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)

# --- every process that sends

# Records on their way to Kafka whose outcome is not known; at its limit an API refuses requests, and a worker waits.
IN_FLIGHT_RECORDS: Final = Gauge(
    "headrace_in_flight_records", "Records that Kafka has not acknowledged yet", registry=REGISTRY
)

# --- every process

# 0 where there is no C compiler, or HEADRACE_NATIVE is off: everything works, only slower.
COMPILED_MODULES: Final = Gauge("headrace_compiled_modules", "Modules that run as machine code", registry=REGISTRY)

# --- API

# Events by verdict: accepted (acknowledged by Kafka), rejected (the client's fault), retry (unknown outcome),
# overloaded (their request was refused as a whole).
EVENTS: Final = Counter("headrace_events", "Events by verdict of the API", ["verdict"], registry=REGISTRY)
# Until the answer is ready to be sent, be it a refusal; of a stream, to its beginning.
REQUEST_SECONDS: Final = Histogram(
    "headrace_request_seconds", "Time to answer a GraphQL request", buckets=_SECONDS, registry=REGISTRY
)
# POSTed operations by way: compiled (by the plan of their text), replayed (a plan's text, but an unusual request, so
# by Strawberry), interpreted (no plan: new texts, and those that plans do not know).
OPERATIONS: Final = Counter("headrace_operations", "GraphQL operations by way", ["way"], registry=REGISTRY)
# Each is one flag in memory while its user is quiet; while there are any, the process reads the features topic.
WATCHERS: Final = Gauge("headrace_watchers", "Subscriptions to changes of features", registry=REGISTRY)
# Rises while Kafka is away and somebody watches.
FEED_INTERRUPTIONS: Final = Counter(
    "headrace_feed_interruptions", "Times the features topic could not be followed further", registry=REGISTRY
)

# --- worker

# Records by outcome: folded, duplicate (same event id), replayed (delivered again), late, dead_letter.
RECORDS: Final = Counter("headrace_records", "Records by outcome of the fold", ["outcome"], registry=REGISTRY)
# One flush of one lane, from the first decode to the last acknowledgement of the store and of Kafka.
FLUSH_SECONDS: Final = Histogram("headrace_flush_seconds", "Time of a flush", buckets=_SECONDS, registry=REGISTRY)
# Small under light load, up to the limits of a flush (`streams/lane.py`) under heavy load.
FLUSH_RECORDS: Final = Histogram(
    "headrace_flush_records",
    "Records in a flush",
    buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000),
    registry=REGISTRY,
)
# Records fetched and not yet acknowledged; at its limit reading stops.
LANE_PENDING_RECORDS: Final = Gauge(
    "headrace_lane_pending_records", "Records waiting in lanes or being folded", registry=REGISTRY
)
# Rises while the store is away.
STORE_RETRIES: Final = Counter("headrace_store_retries", "Store operations tried again", registry=REGISTRY)
# Event ids dropped from a user's duplicate window before their time: duplicates of those would be folded twice.
DEDUPE_EVICTIONS: Final = Counter(
    "headrace_dedupe_evictions", "Event ids forgotten before the end of the duplicate window", registry=REGISTRY
)
# User states found in memory (hit) or read from the store (miss).
STATE_CACHE: Final = Counter("headrace_state_cache", "Look-ups of user states", ["result"], registry=REGISTRY)
# Records acknowledged by Kafka on the feature topic.
FEATURES_PUBLISHED: Final = Counter(
    "headrace_features_published", "Feature records published for data teams", registry=REGISTRY
)


def render() -> bytes:
    """All metrics in the Prometheus text format; serve it as CONTENT_TYPE."""
    return generate_latest(REGISTRY)

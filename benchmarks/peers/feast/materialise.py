"""A Feast repository over the Cassandra online store, filled with given values.

Argument: {"repository": folder, "port", "keyspace", "datacenter", "kinds": {feature: int|float|string_list},
"values": file of {user: {feature: value}}}.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, ValueType
from feast.types import Array, Float64, Int64, String

from benchmarks.meter import Meter

TYPES = {"int": Int64, "float": Float64, "string_list": Array(String)}
arguments = json.loads(sys.argv[1])
meter = Meter()
meter.begin()

repository = Path(arguments["repository"])
repository.mkdir(parents=True)
(repository / "feature_store.yaml").write_text(
    f"""\
project: bench
registry: registry.db
provider: local
offline_store:
  type: file
online_store:
  type: cassandra
  hosts: [127.0.0.1]
  port: {arguments["port"]}
  keyspace: {arguments["keyspace"]}
  load_balancing:
    local_dc: {arguments["datacenter"]}
    load_balancing_policy: TokenAwarePolicy(DCAwareRoundRobinPolicy)
entity_key_serialization_version: 3
"""
)
values = json.loads(Path(arguments["values"]).read_text())
now = datetime.now(UTC)
frame = pd.DataFrame([{"user_id": user, "event_timestamp": now, **features} for user, features in values.items()])
for name, kind in arguments["kinds"].items():
    if kind == "int":
        frame[name] = frame[name].astype("Int64")
    elif kind == "float":
        frame[name] = frame[name].astype("float64")
source = repository / "user_features.parquet"
frame.to_parquet(source)

user = Entity(name="user", join_keys=["user_id"], value_type=ValueType.STRING)
features = FeatureView(
    name="user_features",
    entities=[user],
    ttl=timedelta(days=1),
    schema=[Field(name=name, dtype=TYPES[kind]) for name, kind in arguments["kinds"].items()],
    source=FileSource(path=str(source), timestamp_field="event_timestamp"),
)
store = FeatureStore(repo_path=str(repository))
store.apply([user, features])
store.materialize(now - timedelta(hours=1), datetime.now(UTC) + timedelta(seconds=1))
meter.report("", len(values))

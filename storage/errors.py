"""What can go wrong with a store.

StoreError
├── StoreUnavailable     retriable: the same statement may be sent again
├── NotMigrated          `./headrace migrate` has not run
└── MigrationConflict    the tables were made by other migrations than ours
"""


class StoreError(Exception):
    """Base of every error of this room."""

    retriable = False


class StoreUnavailable(StoreError):
    """No answer, a timeout or too few replicas. A write may have been applied: repeating it is safe."""

    retriable = True


class NotMigrated(StoreError):
    """The keyspace or a table is missing."""


class MigrationConflict(StoreError):
    """An applied migration differs from the file of the same number, or another process holds the lock."""

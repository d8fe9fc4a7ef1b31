"""What stops a worker. Broken messages never do (they are dead-lettered), broken dependencies are waited for.

WorkerError
├── TooManyDeadLetters    almost everything fails: a bad deploy, not bad data
└── EventsTopicRemade     what was read under the old epoch must not be mixed with the new one
"""


class WorkerError(Exception):
    """Base of every error that ends the worker process."""


class TooManyDeadLetters(WorkerError):
    """A long run of records was refused; going on would drain the topic into the dead letters."""


class EventsTopicRemade(WorkerError):
    """The events topic was deleted and made again while this worker ran."""

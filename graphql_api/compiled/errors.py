"""The two ways out of this room.

NotCompiled    of a document: Strawberry answers it, always
Replay         of a request: Strawberry answers this one; raised only while nothing has been written
"""


class NotCompiled(Exception):
    """The document holds something that plans do not know."""


class Replay(Exception):
    """The request is unusual."""

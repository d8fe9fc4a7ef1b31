"""Events of 190 bytes of JSON as they lie in Kafka, and the truth about them. Deterministic by seed."""

from __future__ import annotations

import itertools
import random
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

HOUR_MS: Final = 3_600_000
EVENT_BYTES: Final = 190
_SPAN_MS: Final = 5 * HOUR_MS

Skew = Literal["uniform", "zipf 1.1", "zipf 1.5", "one key 50 %"]
_ZIPF: Final[dict[Skew, float]] = {"zipf 1.1": 1.1, "zipf 1.5": 1.5}


@dataclass(frozen=True, slots=True)
class Traffic:
    """`events` item views of up to `users` users, in order of time over the 5 hours before `end_ms`."""

    events: int
    users: int
    skew: Skew
    end_ms: int
    seed: int = 7

    def picks(self) -> list[int]:
        """The user of each event."""
        random_ = random.Random(self.seed)
        everyone = range(self.users)
        if self.skew in _ZIPF:
            exponent = _ZIPF[self.skew]
            weights = list(itertools.accumulate(1 / rank**exponent for rank in range(1, self.users + 1)))
            return random_.choices(everyone, cum_weights=weights, k=self.events)
        picks = [random_.randrange(self.users) for _ in range(self.events)]
        if self.skew == "one key 50 %":
            picks = [0 if random_.random() < 0.5 else pick for pick in picks]
        return picks

    def time_ms(self, place: int) -> int:
        """Event time of the event at `place`."""
        return self.end_ms - _SPAN_MS + place * _SPAN_MS // self.events

    def records(self) -> Iterator[tuple[str, bytes]]:
        """User id and JSON of each event."""
        random_ = random.Random(self.seed + 1)
        for place, user in enumerate(self.picks()):
            user_id = user_name(user)
            event_id = uuid.UUID(int=random_.getrandbits(128), version=4)
            yield user_id, event_json(event_id, user_id, self.time_ms(place), item=user * 31 + place % 20)

    def counts(self) -> dict[str, int]:
        """The truth: events of each user."""
        return dict(Counter(map(user_name, self.picks())))

    def hourly_counts(self) -> dict[str, int]:
        """The truth: events of each `user@hour`, the hour being the start of the window in ms."""
        picks = enumerate(self.picks())
        return dict(Counter(f"{user_name(user)}@{self.time_ms(place) // HOUR_MS * HOUR_MS}" for place, user in picks))


def user_name(user: int) -> str:
    """User ids all have the same length."""
    return f"user-{user:07}"


def event_json(event_id: uuid.UUID, user_id: str, time_ms: int, item: int) -> bytes:
    """An event of exactly EVENT_BYTES with the fields that workers read."""
    head = (
        f'{{"eventId":"{event_id}","type":"view_item","userId":"{user_id}","itemId":"sku-{item % 1_000_000:06}",'
        f'"category":"'
    )
    tail = f'","eventTime":{time_ms},"receivedAt":{time_ms}}}'
    return f"{head}{item % 40:0{EVENT_BYTES - len(head) - len(tail)}}{tail}".encode()

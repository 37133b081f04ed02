"""The demo's usage: a seeded year of events, the same for the same story, sent through the ingest service."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import accumulate
from math import ceil
from random import Random
from typing import Final

import msgspec

from billing.metering.models import ApiKey
from billing.metering.services import ingest
from billing.metering.validate import NewEvent
from billing.periods import local_midnight
from config.demo.people import Person
from config.demo.story import Story

BATCH: Final = 5_000
SOURCE: Final = "gateway"
GROWTH: Final = 1.13  # a month
WEEKDAYS: Final = (1.0, 1.06, 1.08, 1.04, 0.92, 0.34, 0.28)  # Monday first
HOURS: Final = tuple(accumulate((2, 1, 1, 1, 1, 2, 4, 7, 12, 17, 19, 18, 15, 17, 19, 18, 16, 13, 10, 8, 7, 6, 4, 3)))
MODELS: Final = (b"lumen-large", b"lumen-small", b"lumen-code")
LATE_CODES: Final = {"brightwater", "fernhill", "zuraw", "minato", "erable"}  # their gateways ...
LATE_HOURS: Final = timedelta(hours=8)  # ... send, of the last hours of a month, ...
LATE: Final = 0.2  # ... this share of the events only in the next one
UNREADABLE: Final = 400  # one event in so many has a value that is no number


@dataclass(frozen=True, slots=True)
class Usage:
    """The usage of a story: how many events each customer sends in each month."""

    story: Story
    people: tuple[Person, ...]
    counts: dict[tuple[str, int], int]
    late: dict[int, list[NewEvent]] = field(default_factory=dict)
    """The late events of the months that were generated, so that the following month need not generate them again."""

    @classmethod
    def of(cls, story: Story, people: tuple[Person, ...]) -> "Usage":
        """Share the story's events out by size, growth and the days that a customer is there; at least that many."""
        weights = {
            (person.code, index): person.weight**0.8 * GROWTH**index * _presence(story, person, index)
            for person in people
            for index in range(story.months + 1)
        }
        whole = sum(weights.values())
        return cls(story, people, {key: ceil(story.events * weight / whole) for key, weight in weights.items()})

    def total(self) -> int:
        """How many events the whole story has."""
        return sum(self.counts.values())

    def arriving(self, index: int) -> int:
        """How many of a month's events there are, late ones included where they belong."""
        return sum(self.counts[person.code, index] for person in self.people) + 2 * _strays(self.total())

    def batches(self, index: int) -> Iterator[tuple[datetime, list[NewEvent]]]:
        """The events that arrive during a month, by time of arrival, each batch with the instant of its arrival.

        The last ones of the month before that come late arrive first; the late ones of this month are left for the
        next.
        """
        arrival = self.story.at(self.story.month(index) + timedelta(days=1), 20)
        events = [(arrival, event) for event in self._late(index - 1)] + self._on_time(index)
        events.sort(key=lambda each: each[0])
        for start in range(0, len(events), BATCH):
            part = events[start : start + BATCH]
            yield part[-1][0], [event for _, event in part]

    def _on_time(self, index: int) -> list[tuple[datetime, NewEvent]]:
        self.late[index] = []
        on_time = []
        for event in self._month(index):
            if event.id.startswith("late-"):
                self.late[index].append(event)
            else:
                assert event.time is not None  # every event of the story has one
                on_time.append((event.time, event))
        return on_time

    def _late(self, index: int) -> list[NewEvent]:
        """The late events of a month; they arrive in the evening of the following month's second day."""
        if index not in self.late and index >= 0:
            self._on_time(index)
        return self.late.get(index, [])

    def _month(self, index: int) -> Iterator[NewEvent]:
        for person in self.people:
            yield from events_of(self.story, person, index, self.counts[person.code, index])
        yield from strays(self.story, index, self.total())


def send(usage: Usage, index: int, key: ApiKey) -> Iterator[int]:
    """Send a month's events through the ingest service, and give the number of each batch as it is stored.

    Sending them again changes nothing. NotStored when the service refuses one: the story has only good events.
    """
    for now, events in usage.batches(index):
        report = ingest(events=events, origin="demo", key=key, now=now)
        if report.rejected or report.conflicts:
            raise NotStored([*report.rejected, *report.conflicts][0].message)
        yield len(events)


class NotStored(Exception):
    """An event of the demo was refused, or the database holds another one under its id."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"The demo's usage does not fit what is stored: {reason} Use --reset to start afresh.")


def events_of(story: Story, person: Person, index: int, count: int) -> Iterator[NewEvent]:
    """A customer's events of a month: more on working days and in working hours, each a few minutes of its traffic."""
    random = Random(f"{story.seed}/{person.code}/{index}")  # noqa: S311  a story needs no secrets
    days = _days(story, person, index)
    if not days or not count:
        return
    chosen = random.choices([start for start, _ in days], [weight for _, weight in days], k=count)
    hours = random.choices(range(24), cum_weights=HOURS, k=count)
    scale = 200_000 + 15_000 * person.weight**0.75
    late_from = local_midnight(story.month(index + 1), person.timezone) - LATE_HOURS
    for start, hour in zip(chosen, hours, strict=True):
        time = start + timedelta(hours=hour, microseconds=int(random.random() * 3.6e9))
        if time >= story.now:  # today is not over: what it has so far, at any hour of it
            time = start + (story.now - start) * random.random()
        late = person.code in LATE_CODES and late_from <= time and random.random() < LATE and index < story.months
        yield _event(random, person, time, scale, late)


def strays(story: Story, index: int, total: int) -> Iterator[NewEvent]:
    """Events that count for nobody: an organisation that no customer claims, and a type that no meter reads."""
    random = Random(f"{story.seed}/strays/{index}")  # noqa: S311
    first = local_midnight(story.month(index), "UTC")
    for place in range(_strays(total)):
        time = first + timedelta(seconds=random.randrange(27 * 86_400))
        unclaimed = f"org_{('trial-7c1e', 'sandbox-eu')[place % 2]}"
        stray = _id(random, "inf"), "inference", unclaimed, time, None, _inference(random, 300_000.0, b"eu")
        odd = _id(random, "emb"), "embedding", "org_brightwater", time, None, msgspec.Raw(b'{"vectors": 512}')
        yield from (NewEvent(*each) for each in (stray, odd) if time < story.now)


def _strays(total: int) -> int:
    """How many of each kind of stray a month has."""
    return max(2, total // 60_000)


def _event(random: Random, person: Person, time: datetime, scale: float, late: bool) -> NewEvent:
    subject = person.subjects[0] if random.random() < 0.85 else person.subjects[-1]
    mark = "late-" if late else ""
    if person.vision and random.random() < 0.2:
        images = 20 + int(random.random() * scale / 2_500)
        data = msgspec.Raw(b'{"images": %d, "kind": "document"}' % images)
        return NewEvent(_id(random, f"{mark}vis"), "vision", subject, time, None, data)
    region = b"eu" if person.currency == "EUR" else b"apac" if person.currency == "JPY" else b"us"
    data = _inference(random, scale, region)
    return NewEvent(_id(random, f"{mark}inf"), "inference", subject, time, None, data)


def _inference(random: Random, scale: float, region: bytes) -> msgspec.Raw:
    """Tokens and calls of a few minutes on one model; once in a while an input that is no number."""
    tokens = int(scale * (0.2 + random.random() * 1.6))
    model = MODELS[int(random.random() ** 1.7 * 3)]
    counted = b"%d" % tokens if random.random() * UNREADABLE > 1 else b'"n/a"'
    return msgspec.Raw(
        b'{"model": "%s", "region": "%s", "calls": %d, "input_tokens": %s, "output_tokens": %d}'
        % (model, region, 1 + tokens // 2_600, counted, int(tokens * (0.12 + random.random() * 0.2)))
    )


def _id(random: Random, prefix: str) -> str:
    return f"{prefix}_{random.getrandbits(64):016x}"


def _days(story: Story, person: Person, index: int) -> list[tuple[datetime, float]]:
    """The days of a month on which the customer is there, as local midnights, with their weights."""
    month, begins = story.month(index), story.month(person.begins[0]).replace(day=1)
    start = begin_of(story, person)
    if begins > month:
        return []
    following = story.month(index + 1)
    days = (month + timedelta(days=offset) for offset in range((following - month).days))
    midnights = ((local_midnight(day, person.timezone), day) for day in days if day >= start)
    return [
        (midnight, WEEKDAYS[day.weekday()] * min(1.0, (story.now - midnight) / timedelta(days=1)))
        for midnight, day in midnights
        if midnight < story.now
    ]


def _presence(story: Story, person: Person, index: int) -> float:
    """The days of a month on which the customer is there, in weighted months."""
    return sum(weight for _, weight in _days(story, person, index)) / 25


def begin_of(story: Story, person: Person) -> date:
    """The first day of a customer's contract; a day that its month lacks is the month's last."""
    month, day = person.begins
    following = story.month(month + 1)
    return min(story.month(month) + timedelta(days=day - 1), following - timedelta(days=1))

"""Random histories of usage: what happens to it, and what it comes to when every event is counted again."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from random import Random
from typing import Any

from django.db import connection

from billing.metering import store
from billing.metering.asking import BEGINNING, Quantity, Request
from billing.metering.corrections import services as corrections
from billing.metering.corrections.criteria import Changes, Criteria
from billing.metering.corrections.errors import CannotUndo, NothingToCorrect
from billing.metering.corrections.models import Correction
from billing.metering.measuring import MeasuredEvent, measure
from billing.metering.models import Meter
from billing.metering.rollups import services as rollups
from billing.metering.services import ingest
from billing.metering.validate import new_event
from billing.periods import Period

NOW = datetime(2026, 6, 1, tzinfo=UTC)
START = datetime(2026, 3, 1, tzinfo=UTC)
SUBJECTS = ("a", "b", "c")
ZONES = ("UTC", "Asia/Kathmandu", "America/New_York")
_ids = count()

METERS: list[dict[str, Any]] = [
    {"aggregation": "count"},
    {"aggregation": "sum", "value": "n", "group_by": ["kind", "who"]},
    {"aggregation": "sum", "value": "n", "recurring": True, "filters": {"kind": ["x", "y"]}},
    {"aggregation": "sum", "value": "n", "recurring": True, "prorate": True},
    {"aggregation": "max", "value": "n", "group_by": ["kind"]},
    {"aggregation": "min", "value": "n + 1"},
    {"aggregation": "latest", "value": "n", "group_by": ["kind"]},
    {"aggregation": "latest", "value": "n", "recurring": True},
    {"aggregation": "average", "value": "n / 3", "group_by": ["who"], "rounding": {"mode": "half_up", "places": 3}},
    {"aggregation": "weighted_sum", "value": "n", "recurring": True, "rounding": {"mode": "half_up", "places": 6}},
    {"aggregation": "weighted_sum", "value": "n", "group_by": ["kind"]},
    {"aggregation": "min", "value": "n", "group_by": ["op", "who"]},
    {"aggregation": "unique_count", "value": "who"},
    {"aggregation": "unique_count", "value": "who", "group_by": ["kind", "op"]},
    {"aggregation": "unique_count", "value": "who", "operation": "op", "recurring": True, "group_by": ["kind"]},
    {"aggregation": "unique_count", "value": "who", "operation": "op", "recurring": True, "prorate": True},
]


def make_meters() -> list[Meter]:
    """A meter of each kind, none of which has a rollup yet."""
    return [
        Meter.objects.create(code=f"m{place}", name=f"Meter {place}", event_type="call", **fields)
        for place, fields in enumerate(METERS)
    ]


@dataclass
class History:
    """What may happen to usage, by chance; the same seed makes the same history."""

    dice: Random
    sent: list[str] = field(default_factory=list)

    def happen(self) -> None:
        """One thing."""
        self.dice.choices(
            [
                self.send,
                self.step,
                self.void,
                self.replace,
                self.undo,
                self.backfill,
                self.revert,
                self.build,
                self.settle,
            ],
            weights=[10, 8, 3, 3, 2, 1, 1, 1, 2],
        )[0]()

    def send(self, **more: Any) -> None:
        """A batch of events, some late, some invalid for most meters."""
        events = [self._event() for _ in range(self.dice.randint(1, 8))]
        ingest(events=events, origin="test", default_source="app", now=NOW, **more)

    def _event(self) -> Any:
        dice = self.dice
        data: dict[str, Any] = {
            "n": dice.choice([1, 2, -3, "4.5", 0, "many"]), "kind": dice.choice(["x", "y", 1, None]),
            "who": dice.choice(["ann", "bob", 7, "7"]), "op": dice.choice(["add", "add", "remove", "?"]),
        }  # fmt: skip
        for name in [name for name in data if dice.random() < 0.05]:
            del data[name]
        time = START + timedelta(minutes=15 * dice.randint(-200, 3200), seconds=dice.choice([0, 0, 1]))
        self.sent.append(f"e{next(_ids)}")
        kind = "call" if dice.random() < 0.9 else "other"
        return new_event(id=self.sent[-1], type=kind, subject=dice.choice(SUBJECTS), data=data, time=time)

    def step(self) -> None:
        """A rollup takes in some of what is pending."""
        rollups.step(limit=self.dice.randint(1, 3))

    def build(self) -> None:
        """Meters without a rollup get one."""
        rollups.build_missing()

    def settle(self) -> None:
        """Days that are over for a while are put together."""
        rollups.settle(now=START + timedelta(days=self.dice.randint(-5, 45)))

    def _criteria(self) -> Criteria:
        if self.sent and self.dice.random() < 0.5:
            return Criteria(ids=tuple(self.dice.sample(self.sent, min(3, len(self.sent)))), source="app")
        start = START + timedelta(days=self.dice.randint(0, 25))
        return Criteria(subject=self.dice.choice(SUBJECTS), period=Period(start, start + timedelta(days=5)))

    def void(self) -> None:
        """Some events count no more."""
        try:
            corrections.void(criteria=self._criteria(), reason="wrong", user=None, now=NOW)
        except NothingToCorrect:
            assert True  # a history may mean nothing

    def replace(self) -> None:
        """Some events count otherwise: another value, another subject, another time."""
        changes = self.dice.choice([
            Changes(data={"n": self.dice.randint(1, 9)}), Changes(subject=self.dice.choice(SUBJECTS)),
            Changes(time=START + timedelta(hours=self.dice.randint(0, 700))), Changes(data={"n": None}),
        ])  # fmt: skip
        try:
            corrections.replace(criteria=self._criteria(), changes=changes, reason="wrong", user=None, now=NOW)
        except NothingToCorrect:
            assert True  # a history may mean nothing

    def undo(self) -> None:
        """A correction is taken back."""
        made = list(Correction.objects.all())
        if made:
            try:
                corrections.undo(correction=self.dice.choice(made), reason="it was right", user=None, now=NOW)
            except CannotUndo:
                assert made  # another one stands on it

    def backfill(self) -> None:
        """Usage that comes in together."""
        made = corrections.make_backfill(name="old", reason="lost", user=None, now=NOW)
        self.send(backfill_id=made.pk)

    def revert(self) -> None:
        """A backfill is taken back, if there is one that stands."""
        from billing.metering.corrections.models import Backfill

        if made := Backfill.objects.order_by("?").first():
            try:
                corrections.revert(backfill=made, reason="twice", user=None, now=NOW)
            except NothingToCorrect:
                assert made  # it is taken back already


def effective(subject: Sequence[str]) -> list[MeasuredEvent]:
    """Every event of these subjects that counts, read plainly, in the order of arrival."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT e.batch, e.n, e.ts, e.data::text FROM metering_event e
               JOIN metering_subject s ON s.id = e.subject_id JOIN metering_type t ON t.id = e.type_id
               LEFT JOIN LATERAL (
                   SELECT c.counts FROM metering_corrected_event c WHERE c.batch = e.batch AND c.n = e.n
                   ORDER BY c.correction_id DESC LIMIT 1) last ON true
               WHERE s.name = ANY(%s) AND t.name = 'call' AND coalesce(last.counts, true)
               ORDER BY e.batch, e.n""",
            [list(subject)],
        )
        rows = cursor.fetchall()
    from billing.metering.cases import read_json

    return [MeasuredEvent(f"{batch}/{n}", ts, read_json(data)) for batch, n, ts, data in rows]


def some_request(dice: Random, key: int) -> tuple[Request, tuple[str, ...]]:
    """A period in some zone, of one or two subjects."""
    start = START + timedelta(minutes=15 * dice.randint(-100, 2000))
    period = Period(start, start + timedelta(minutes=15 * dice.randint(1, 3000)))
    if dice.random() < 0.3:
        period = Period(START, START + timedelta(days=31))
    subjects = tuple(dice.sample(SUBJECTS, dice.randint(1, 2)))
    claims = tuple((subject, Period(BEGINNING, None)) for subject in subjects)
    return Request(key, claims, period, timezone=dice.choice(ZONES)), subjects


def differences(meters: Sequence[Meter], dice: Random) -> list[str]:
    """Where an answer of the store differs from a plain recount."""
    requests = [some_request(dice, key) for key in range(4)]
    found = []
    for meter in meters:
        meter.refresh_from_db()
        answers = store.quantities(meter, [request for request, _ in requests])
        cells = store.breakdown(meter, [request for request, _ in requests], meter.group_by)
        for request, subjects in requests:
            counted = effective(subjects)
            plain = measure(
                meter=meter.definition(), events=counted, period=request.period, full=request.period,
                timezone=request.timezone,
            )  # fmt: skip
            expected = Quantity(plain.quantity, sum(fate.counted for fate in plain.fates), sum(
                (fate.reason or "").startswith("invalid") for fate in plain.fates))  # fmt: skip
            if answers[request.key] != expected:
                found.append(f"{meter.definition()} {request}: {answers[request.key]} is not {expected}")
            if meter.group_by:
                by_cell = {
                    values: quantity.value for key, values, quantity in cells if key == request.key and quantity.value
                }
                wanted = {tuple(cell.dimensions.values()): cell.quantity for cell in plain.cells if cell.quantity}
                if by_cell != wanted:
                    found.append(f"{meter.definition()} {request}: {by_cell} is not {wanted}")
    return found

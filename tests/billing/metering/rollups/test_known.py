"""What was known of usage can be told later, whatever came, was corrected or was rolled up since."""

from random import Random
from typing import Any

import pytest

from billing.metering import store
from billing.metering.asking import Known
from billing.metering.models import Meter
from billing.metering.queries import known_now
from billing.metering.rollups import services as rollups
from tests.billing.metering.rollups.histories import History, make_meters, some_request

pytestmark = pytest.mark.django_db


def answers(meters: list[Meter], requests: list[Any], known: Known | None) -> list[Any]:
    """Every answer, by meter: quantities, and by dimensions."""
    found: list[Any] = []
    for meter in meters:
        meter.refresh_from_db()
        asked = meter if known is None else meter.as_known(known)
        found.append((store.quantities(asked, requests), store.breakdown(asked, requests, meter.group_by)))
    return found


@pytest.mark.parametrize("seed", range(3))
def test_what_was_answered_once_is_answered_again(seed: int) -> None:
    history = History(Random(seed))
    meters = make_meters()
    looks = []
    for place in range(24):
        history.happen()
        if place % 6 == 5:
            requests = [some_request(history.dice, key)[0] for key in range(3)]
            looks.append((known_now(), requests, answers(meters, requests, None)))
    rollups.catch_up()
    for known, requests, answered in looks:
        assert answers(meters, requests, known) == answered
    assert any(answers(meters, requests, None) != answered for _, requests, answered in looks)


def test_what_is_known_names_batches_that_are_pending_still() -> None:
    history = History(Random(1))
    history.send()
    history.send()
    rollups.step(limit=1)
    known = known_now()
    assert (known.position, len(known.pending)) == (1, 1)
    rollups.step()
    assert known_now() == Known(2)
    (batch,) = known.pending
    assert known.includes(batch, 2)
    assert known.includes(batch - 1, 1)
    assert not known.includes(batch + 1, 3)
    assert not known.includes(batch + 1, None)

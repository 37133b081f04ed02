"""Every answer equals a plain recount, whatever happened to the events and however far the rollups are (R2)."""

from random import Random

import pytest
from django.db import transaction

from billing.metering.rollups import services as rollups
from billing.metering.rollups.models import PendingBatch
from tests.billing.metering.rollups.histories import History, differences, make_meters

pytestmark = pytest.mark.django_db


def run(seed: int, length: int = 25) -> None:
    """One history, with a look after every few things that happen."""
    history = History(Random(seed))
    meters = make_meters()
    for place in range(length):
        history.happen()
        if place % 5 == 4:
            assert differences(meters, history.dice) == [], f"seed {seed}, after {place + 1}"
    rollups.catch_up()
    assert not PendingBatch.objects.exists()
    assert differences(meters, history.dice) == [], f"seed {seed}, when all is counted"


def test_it_works() -> None:
    run(0, 5)


@pytest.mark.parametrize("seed", range(1, 7))
def test_answers_equal_a_recount(seed: int) -> None:
    run(seed)


@pytest.mark.deep
def test_answers_equal_a_recount_in_many_histories() -> None:
    for seed in range(100, 150):
        with transaction.atomic():
            run(seed, 40)
            transaction.set_rollback(True)

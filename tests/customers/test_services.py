"""Contracts come into force only when they can be billed; a subject belongs to one customer at a time."""

from datetime import UTC, date, datetime
from threading import Barrier, Thread
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection

from customers.errors import ContractNotReady, SubjectTaken
from customers.models import Contract, Customer, UsageSubject
from customers.services import activate_contract, claim_subject, date_claim
from tests.factories import make_entity

pytestmark = pytest.mark.django_db
MARCH, APRIL = datetime(2024, 3, 1, tzinfo=UTC), datetime(2024, 4, 1, tzinfo=UTC)


def customer(name: str = "a") -> Customer:
    return Customer.objects.create(external_id=name, legal_name=f"Buyer {name}")


def draft(**fields: Any) -> Contract:
    given = {
        "number": "K-1",
        "customer": customer(),
        "entity": make_entity(),
        "start": date(2024, 1, 1),
        "currency": "USD",
    }
    return Contract.objects.create(**(given | fields))


def test_it_works() -> None:
    contract = activate_contract(contract=draft())
    assert Contract.objects.get(pk=contract.pk).state == "active"


def test_an_active_contract_is_not_activated_again() -> None:
    contract = activate_contract(contract=draft())
    with pytest.raises(ContractNotReady, match="K-1 cannot be activated: it is active already"):
        activate_contract(contract=contract)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"cadence": "P2W", "anchor_day": 8}, "from 1 (Monday) to 7 (Sunday)"),
        ({"cadence": "P10D", "anchor_day": 1}, "takes no anchor day"),
        ({"timezone": "Mars/Base"}, "no IANA time zone"),
        ({"cadence": "monthly"}, "ISO 8601 cadence"),
    ],
)
def test_what_cannot_be_billed_stays_a_draft_and_says_why(fields: dict[str, Any], sentence: str) -> None:
    contract = draft(**fields)
    with pytest.raises(ContractNotReady) as refused:
        activate_contract(contract=contract)
    assert sentence in str(refused.value)
    assert Contract.objects.get(pk=contract.pk).state == "draft"


def test_a_subject_goes_from_one_customer_to_the_next_without_a_gap() -> None:
    first, second = customer("a"), customer("b")
    claim = claim_subject(customer=first, subject="org")
    with pytest.raises(SubjectTaken, match="Buyer a claims the subject “org” since ever"):
        claim_subject(customer=second, subject="org", valid_from=MARCH)
    date_claim(claim=claim, valid_from=None, valid_to=MARCH)
    assert claim_subject(customer=second, subject="org", valid_from=MARCH).customer == second


def test_a_claim_is_not_stretched_over_anothers() -> None:
    claim = claim_subject(customer=customer("a"), subject="org", valid_to=MARCH)
    claim_subject(customer=customer("b"), subject="org", valid_from=MARCH)
    with pytest.raises(SubjectTaken, match="Buyer b claims the subject “org” from 2024-03-01"):
        date_claim(claim=claim, valid_from=None, valid_to=APRIL)
    assert UsageSubject.objects.get(pk=claim.pk).valid_to == MARCH


def test_an_empty_subject_is_refused() -> None:
    with pytest.raises(ValidationError):
        claim_subject(customer=customer(), subject="")


@pytest.mark.django_db(transaction=True)
def test_of_two_claims_at_once_one_wins_and_the_other_is_told_whose_it_is() -> None:
    buyers, start = [customer("a"), customer("b")], Barrier(2)
    told: list[str] = []

    def claim(buyer: Customer) -> None:
        start.wait()
        try:
            claim_subject(customer=buyer, subject="org")
        except SubjectTaken as error:
            told.append(str(error))
        finally:
            connection.close()

    threads = [Thread(target=claim, args=[buyer]) for buyer in buyers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winner = UsageSubject.objects.get().customer
    assert [f"{winner} claims the subject" in sentence for sentence in told] == [True]

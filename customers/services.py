"""Verbs of customers and contracts. The caller owns the transaction."""

from datetime import date, datetime

from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from customers.errors import ContractNotReady, OthersContract, SubjectTaken
from customers.locks import lock_customers
from customers.models import Contract, Customer, Payer, UsageSubject
from customers.queries import claims_on
from customers.states import ContractState


@transaction.atomic
def activate_contract(*, contract: Contract) -> Contract:
    """Put a draft contract into force: its parties, currency, cadence and start are frozen, and runs bill it.

    ContractNotReady names everything that stands in the way: it is active already, a field is not valid, or the
    anchor day does not fit the cadence (R4.1: weeks are anchored on days 1 to 7, days on none).
    """
    contract = Contract.objects.select_for_update().get(pk=contract.pk)
    if contract.state != ContractState.DRAFT:
        raise ContractNotReady(contract, ["it is active already"])
    problems = _problems(contract)
    if problems:
        raise ContractNotReady(contract, problems)
    contract.state = ContractState.ACTIVE
    contract.save(update_fields=["state"])
    return contract


def _problems(contract: Contract) -> list[str]:
    """What keeps a contract from being billed, each as half a sentence."""
    problems: list[str] = []
    try:
        contract.full_clean()
    except ValidationError as error:
        problems += [text for texts in error.message_dict.values() for text in texts]
    unit, anchor = contract.cadence[-1:], contract.anchor_day
    if anchor is not None and unit == "D":
        problems.append("a cadence in days takes no anchor day: leave it empty")
    if anchor is not None and unit == "W" and anchor > 7:
        problems.append("a cadence in weeks is anchored on a day from 1 (Monday) to 7 (Sunday)")
    return problems


def claim_subject(
    *, customer: Customer, subject: str, valid_from: datetime | None = None, valid_to: datetime | None = None
) -> UsageSubject:
    """Let events that carry `subject` count for `customer` over `[valid_from, valid_to)`, those of the past too (R1.3).

    Instants are aware; None is open. SubjectTaken when another claim overlaps: it names whose and since when.
    """
    claim = UsageSubject(customer=customer, subject=subject, valid_from=valid_from, valid_to=valid_to)
    return _write(claim)


def date_claim(*, claim: UsageSubject, valid_from: datetime | None, valid_to: datetime | None) -> UsageSubject:
    """Move the bounds of a claim, e.g. to end it so that another customer can take the subject over."""
    claim.valid_from, claim.valid_to = valid_from, valid_to
    return _write(claim)


def _write(claim: UsageSubject) -> UsageSubject:
    """Save the claim, or say who has the subject. Checked before, and by the constraint when two come at once."""
    others = claims_on(subject=claim.subject, valid_from=claim.valid_from, valid_to=claim.valid_to)
    taken = others.exclude(pk=claim.pk).first()
    if taken:
        raise SubjectTaken(taken)
    claim.clean_fields()
    try:
        with transaction.atomic():
            claim.save()
    except IntegrityError as error:
        taken = others.exclude(pk=claim.pk).first()
        if taken:
            raise SubjectTaken(taken) from error
        raise
    return claim


@transaction.atomic
def set_payer(
    *, customer: Customer, payer: Customer, start: date, now: datetime, contract: Contract | None = None,
    reason: str = "", user: AbstractBaseUser | None = None,
) -> Payer:  # fmt: skip
    """Let `payer` pay for the customer's contracts, or for one of them, where service begins on or after `start`.

    What was billed stays with whoever was billed; lines of drafts move with the next run. A fact of the same day is
    replaced; `payer` may be the customer itself again. OthersContract when the contract is another customer's.
    """
    if contract is not None and contract.customer_id != customer.pk:
        raise OthersContract(contract, customer)
    _lock_payers(customer, payer.pk)
    same = Payer.objects.filter(customer=customer, contract=contract, start=start, undone_at=None)
    same.update(undone_at=now)
    return Payer.objects.create(
        customer=customer, contract=contract, payer=payer, start=start, reason=reason.strip(), recorded_at=now,
        recorded_by=user,  # type: ignore[misc]
    )  # fmt: skip


@transaction.atomic
def undo_payer(*, fact: Payer, now: datetime) -> Payer:
    """Take back who was to pay, as if it had never been said; what was billed stays as it was."""
    _lock_payers(fact.customer, fact.payer_id)
    fact = Payer.objects.select_for_update(of=("self",)).get(pk=fact.pk)
    if fact.undone_at is None:
        fact.undone_at = now
        fact.save(update_fields=["undone_at"])
    return fact


def _lock_payers(customer: Customer, payer_id: int) -> None:
    """The locks of the customer, of whoever paid for it so far, and of the one that will."""
    lock_customers({customer.pk, payer_id, *customer.payers.values_list("payer_id", flat=True)})

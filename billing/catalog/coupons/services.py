"""The verbs of coupons: redeem, remove, undo, retire. The next run credits and charges what they change."""

from datetime import date, datetime

from django.contrib.auth.models import AbstractBaseUser
from django.db import IntegrityError, transaction
from django.db.models import Q

from billing.catalog.agreements import writing
from billing.catalog.coupons.models import Coupon, Redemption
from billing.catalog.errors import Overlap
from billing.catalog.terms.errors import TermsError
from customers.locks import lock_customers
from customers.models import Contract, Customer

KEPT = ("coupon_id", "customer_id", "contract_id", "start", "rank")


def redeem(
    *, coupon: Coupon, customer: Customer, start: date, reason: str, user: AbstractBaseUser | None, now: datetime,
    contract: Contract | None = None, rank: int | None = None,
) -> Redemption:  # fmt: skip
    """Apply a coupon to a contract, or without one to all of a customer's, from the cycle on that contains `start`.

    TermsError where it is not valid then, used up, retired, in another currency, or an amount for several contracts.
    """
    row = Redemption(coupon=coupon, customer=customer, contract=contract, start=start, rank=rank)
    with transaction.atomic():
        lock_customers([customer.pk])
        row.coupon = Coupon.objects.select_for_update().get(pk=coupon.pk)  # one of two at once is the last
        _check_valid(row.coupon, start)
        _check_whose(row)
        _insert(row, reason=reason, user=user, now=now)
    return row


def remove(
    *, redemption: Redemption, at: date, reason: str, user: AbstractBaseUser | None, now: datetime
) -> Redemption:
    """End it: cycles that begin on `at` or later do not have it. What it took off before stands."""
    if at <= redemption.start:
        raise TermsError(f"{redemption} would end before it starts: undo it instead, as if it had never been applied.")
    if at == redemption.end:
        raise TermsError(f"{redemption} ends then already.")
    fresh: Redemption = writing.ended(redemption, at, KEPT)
    with transaction.atomic():
        lock_customers([redemption.customer_id])
        writing.superseded([redemption], reason=reason, user=user, now=now)
        _insert(fresh, reason=reason, user=user, now=now)
    return fresh


def undo(*, redemption: Redemption, reason: str, user: AbstractBaseUser | None, now: datetime) -> None:
    """Take it back as if it had never been applied: what it took off is charged by the next run."""
    with transaction.atomic():
        lock_customers([redemption.customer_id])
        writing.superseded([redemption], reason=reason, user=user, now=now)


def retire(*, coupon: Coupon, now: datetime) -> None:
    """Nobody can redeem it any more; whoever did keeps it."""
    if not Coupon.objects.filter(pk=coupon.pk, retired_at=None).update(retired_at=now):
        raise TermsError(f"{coupon} is retired already.")


def redeemed(*, coupon: Coupon) -> int:
    """How often it stands redeemed; what was undone does not count."""
    return Redemption.objects.filter(coupon=coupon, superseded_at=None).count()


def _check_valid(coupon: Coupon, start: date) -> None:
    if coupon.retired_at is not None:
        raise TermsError(f"{coupon} is retired: choose another coupon.")
    if coupon.valid_from and start < coupon.valid_from:
        raise TermsError(f"{coupon} is valid from {coupon.valid_from} on: start it then or later.")
    if coupon.valid_to and start >= coupon.valid_to:
        raise TermsError(f"{coupon} was valid until {coupon.valid_to}: start it before that day, or choose another.")
    if coupon.max_redemptions is not None and redeemed(coupon=coupon) >= coupon.max_redemptions:
        raise TermsError(
            f"{coupon} was redeemed {coupon.max_redemptions} times, as often as it may be: raise its limit,"
            " or choose another."
        )


def _check_whose(row: Redemption) -> None:
    """An amount is of one contract, in its currency; a percentage may be of all."""
    coupon, contract = row.coupon, row.contract
    if contract is None:
        if coupon.amount is not None:
            raise TermsError(f"{coupon} takes off an amount: choose the contract that it is for.")
        return
    if contract.customer_id != row.customer_id:
        raise TermsError(
            f"{contract} is a contract of {contract.customer}, not of {row.customer}: choose one of theirs."
        )
    if coupon.currency and coupon.currency != contract.currency:
        raise TermsError(f"{coupon} is in {coupon.currency}, and {contract} is billed in {contract.currency}.")
    if contract.end is not None and row.start >= contract.end:
        raise TermsError(f"{contract} ends on {contract.end}: start the coupon before that day.")


def _insert(row: Redemption, *, reason: str, user: AbstractBaseUser | None, now: datetime) -> None:
    ends = Q(end=None) | Q(end__gt=row.start)
    others = Redemption.objects.filter(ends, coupon=row.coupon, customer_id=row.customer_id, superseded_at=None)
    both = others.filter(contract=None) if row.contract_id is None else others.filter(
        Q(contract=None) | Q(contract_id=row.contract_id)
    )  # fmt: skip
    if taken := both.first():
        raise Overlap(f"{taken} stands already: remove or undo that one first.")
    try:
        with transaction.atomic():
            writing.said([row], reason=reason, user=user, now=now)
    except IntegrityError as error:
        raise Overlap(f"{row.coupon} is applied there at that time already: remove or undo that one first.") from error

"""What contracts as a whole have agreed, read for many at once and turned into the plain values that billing takes."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime

from django.db.models import Q

from billing.catalog.agreements.kinds import AgreedDiscount, AgreedSpend, read_agreement
from billing.catalog.agreements.models import ContractTerm
from billing.catalog.agreements.states import AgreementKind
from billing.catalog.coupons.models import Coupon, Redemption
from billing.catalog.models import Subscription
from billing.catalog.terms.errors import TermsError
from billing.catalog.terms.resolve import NAMES
from billing.catalog.terms.values import DiscountTerms, Source, SpendTerms, whole_of
from billing.periods import Period, local_midnight
from billing.pricing import PriceError
from customers.knowledge import in_force
from customers.models import Contract

Lines = dict[int, list[tuple[int, str, str]]]
"""Of each contract: id, code and product of its subscriptions."""


class Agreed:
    """What contracts as a whole have agreed, by contract; and the coupons that they, or their customers, redeemed."""

    def __init__(
        self, terms: Iterable[ContractTerm] = (), redemptions: Iterable[Redemption] = (), lines: Lines | None = None
    ) -> None:
        self._terms: dict[int, list[ContractTerm]] = defaultdict(list)
        for term in terms:
            self._terms[term.contract_id].append(term)
        self._of_contract: dict[int, list[Redemption]] = defaultdict(list)
        self._of_customer: dict[int, list[Redemption]] = defaultdict(list)
        for each in redemptions:
            if each.contract_id is None:
                self._of_customer[each.customer_id].append(each)
            else:
                self._of_contract[each.contract_id].append(each)
        self._lines = lines or {}

    def spend(self, contract: Contract) -> tuple[SpendTerms, ...]:
        """The contract's agreements on spending. TermsError where one cannot be read."""
        found = [
            _spend(contract, row, agreed, self._lines.get(contract.pk, []))
            for row, agreed in self._read(contract) if isinstance(agreed, AgreedSpend)
        ]  # fmt: skip
        return tuple(sorted(found, key=lambda each: (each.period.start, each.kind, each.name, str(each.amount))))

    def discounts(self, contract: Contract) -> tuple[DiscountTerms, ...]:
        """What comes off the contract's charges: its discounts and coupons."""
        found = [_discount(row, agreed) for row, agreed in self._read(contract) if isinstance(agreed, AgreedDiscount)]
        for each in [*self._of_contract.get(contract.pk, []), *self._of_customer.get(contract.customer_id, [])]:
            if each.coupon.currency in ("", contract.currency):
                found.append(_coupon(each, contract))
        return tuple(found)

    def _read(self, contract: Contract) -> list[tuple[ContractTerm, AgreedSpend | AgreedDiscount]]:
        found = []
        for row in self._terms.get(contract.pk, []):
            try:
                found.append((row, read_agreement(row.kind, row.value)))
            except PriceError as error:
                raise TermsError(f"{row}: {error}") from error
        return found


def agreed_of(contract_ids: Sequence[int]) -> Agreed:
    """What stands agreed for these contracts: two queries, and up to two more where there is anything to look up."""
    rows = ContractTerm.objects.filter(contract__among=contract_ids).order_by("start", "id")
    terms = _with_first_ends(in_force(rows, "superseded_at"))
    of_customers = Contract.objects.filter(pk__among=contract_ids).values("customer_id")
    whose = Q(contract__among=contract_ids) | Q(contract=None, customer_id__in=of_customers)
    redeemed = Redemption.objects.filter(whose).select_related("coupon").order_by("start", "id")
    named = {term.contract_id for term in terms if term.value.get("subscriptions") or term.value.get("products")}
    return Agreed(terms, in_force(redeemed, "superseded_at"), _lines_of(named) if named else None)


def _lines_of(contract_ids: Iterable[int]) -> Lines:
    found: Lines = defaultdict(list)
    rows = Subscription.objects.filter(contract_id__in=contract_ids)
    for contract, pk, code, product in rows.values_list("contract_id", "pk", "code", "product__code"):
        found[contract].append((pk, code, product))
    return found


def _with_first_ends(rows: list[ContractTerm]) -> list[ContractTerm]:
    """The rows; a commitment that was ended otherwise than agreed knows the end that was agreed first."""
    ended = [row for row in rows if row.kind == AgreementKind.COMMITMENT and row.first_id is not None]
    firsts = ContractTerm.objects.in_bulk([row.first_id for row in ended]) if ended else {}
    for row in ended:
        row.agreed_end = max(filter(None, (firsts[row.first_id].end, row.end)), default=None)
    return rows


def _spend(
    contract: Contract, row: ContractTerm, agreed: AgreedSpend, lines: Sequence[tuple[int, str, str]]
) -> SpendTerms:  # fmt: skip
    spend, of = agreed.spend, None
    if agreed.subscriptions or agreed.products:
        of = tuple(
            pk for pk, code, product in sorted(lines)
            if code in agreed.subscriptions or product in agreed.products
        )  # fmt: skip
    return SpendTerms(
        subscription_id=whole_of(contract.pk), kind=spend.kind, name=spend.name or NAMES[spend.kind],
        amount=spend.amount, per=spend.per, period=Period(row.start, row.end), codes=spend.codes,
        overage_factor=spend.overage_factor, source=Source("term", row.get_kind_display()),
        agreed_end=row.agreed_end, of=of, overage_prices=spend.overage_prices,
    )  # fmt: skip


def _discount(row: ContractTerm, agreed: AgreedDiscount) -> DiscountTerms:
    """A discount of the contract, each period anew."""
    return DiscountTerms(
        kind="discount", key=row.identity, name=agreed.name or "Discount", period=Period(row.start, row.end),
        percentage=agreed.percentage, amount=agreed.amount, charges=agreed.codes, kept=False,
    )  # fmt: skip


def _coupon(each: Redemption, contract: Contract) -> DiscountTerms:
    """A redemption, its days at midnight in the contract's zone."""
    coupon = each.coupon
    start, end = (_midnight(day, contract) for day in (each.start, each.end))
    assert start is not None
    codes = tuple(coupon.codes)
    return DiscountTerms(
        kind="coupon", key=each.identity, name=coupon.name, period=Period(start, end),
        percentage=coupon.percentage, amount=coupon.amount,
        cycles=1 if coupon.duration == Coupon.Duration.ONCE else coupon.cycles,
        charges=codes if coupon.scope == Coupon.Scope.CHARGES else (),
        plans=codes if coupon.scope == Coupon.Scope.PLANS else (), rank=each.rank,
    )  # fmt: skip


def _midnight(day: object, contract: Contract) -> datetime | None:
    return local_midnight(day, contract.timezone) if day else None  # type: ignore[arg-type]

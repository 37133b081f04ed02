"""What terms would bill: the same as the run bills, under any version, and nothing is written."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from billing.catalog.models import Charge, ChargeCode, ChargePrice, PlanVersion
from billing.catalog.services import change_subscription
from billing.invoicing.models import Invoice, Slot
from billing.invoicing.terms import ContractTerms
from billing.invoicing.whatif import Expected, expected, terms_under
from billing.periods import Period
from customers.models import Contract
from tests.factories import NOW, bill, fee, make_contract, make_subscription, make_version, send_events, usage

pytestmark = pytest.mark.django_db
NOVEMBER = Period(datetime(2023, 11, 1, tzinfo=UTC), datetime(2023, 12, 1, tzinfo=UTC))


def under(versions: dict[int, PlanVersion], *contracts: Contract, period: Period = NOVEMBER) -> list[Expected]:
    terms = terms_under(contracts, versions)
    good = [each for each in terms.values() if isinstance(each, ContractTerms)]
    assert len(good) == len(contracts)
    return expected([(each, period) for each in good])


def use(contract: Contract, day: str, tokens: int) -> None:
    send_events(subject=contract.customer.external_id, time=f"{day}T12:00:00Z", data={"tokens": tokens})


def test_it_works() -> None:
    contract = make_contract()
    make_subscription(contract, make_version(fee(), usage()))
    use(contract, "2023-11-15", 250)
    (result,) = under({}, contract)
    assert [(line.kind, line.amount) for line in result.lines] == [
        ("recurring", Decimal("100.00")), ("usage", Decimal("2.50"))]  # fmt: skip
    assert (result.total, result.currency, result.problem) == (Decimal("102.50"), "USD", "")
    assert {line.cycle for line in result.lines} == {NOVEMBER}
    assert not Invoice.objects.exists()
    assert not Slot.objects.exists()


def test_arrears_come_to_what_the_run_drafts() -> None:
    contract = make_contract(start=date(2023, 11, 16), anchor_day=1)
    version = make_version(fee(pay="in_arrears"), usage())
    subscription = make_subscription(contract, version)
    change_subscription(subscription=subscription, at=date(2023, 11, 21), version=make_version(
        fee(amount="70", pay="in_arrears"), usage(model="per_unit", unit_amount="0.05")), now=NOW)  # fmt: skip
    use(contract, "2023-11-20", 100)
    use(contract, "2023-11-21", 100)
    (result,) = under({}, contract)
    (draft,) = bill("2023-12-01")
    assert [line.amount for line in result.lines] == [line.amount for line in draft.lines.all()]
    assert [line.steps for line in result.lines] == [line.steps for line in draft.lines.all()]


def test_a_subscription_is_rated_as_if_it_had_had_another_version_all_along() -> None:
    contract, other = make_contract(), make_contract()
    version = make_version(fee(), usage())
    subscription, _ = make_subscription(contract, version), make_subscription(other, version)
    candidate = make_version(fee(amount="80"), usage(model="per_unit", unit_amount="0.03"), plan="candidate")
    use(contract, "2023-11-15", 250)
    assert [each.total for each in under({subscription.pk: candidate}, contract, other)] == [
        Decimal("87.50"), Decimal("100.00")]  # fmt: skip
    assert [each.total for each in under({}, contract)] == [Decimal("102.50")]


def test_a_version_that_was_never_saved_can_be_rated() -> None:
    contract = make_contract()
    subscription = make_subscription(contract, make_version(usage()))
    use(contract, "2023-11-15", 250)
    plan = subscription.intervals.get().version.plan
    version = PlanVersion(plan=plan, number=99)
    code = ChargeCode(product=plan.product, code="brand-new")
    charges = [
        Charge(version=version, code=code, name=name, kind="recurring", pay="in_advance") for name in ("One", "Two")
    ]
    for charge in charges:
        charge.all_prices = [ChargePrice(charge=charge, currency="USD", price={"model": "flat", "amount": "5"})]  # type: ignore[attr-defined]
    version.all_charges = charges  # type: ignore[attr-defined]
    (result,) = under({subscription.pk: version}, contract)
    assert [line.amount for line in result.lines] == [Decimal(5), Decimal(5)]
    assert len({line.stream for line in result.lines}) == 2


def test_queries_grow_neither_with_contracts_nor_with_candidates() -> None:
    version = make_version(fee(), usage())
    candidate = make_version(fee(), usage(), plan="candidate")
    counts = []
    for size in (1, 3):
        for _ in range(size):
            contract = make_contract()
            make_subscription(contract, version)
            use(contract, "2023-11-11", 50)
        contracts = list(Contract.objects.all())
        every = {each.pk: candidate for contract in contracts for each in contract.subscriptions.all()}
        with CaptureQueriesContext(connection) as queries:
            now, then = terms_under(contracts, {}), terms_under(contracts, every)
            both = [each for found in (now, then) for each in found.values() if isinstance(each, ContractTerms)]
            results = expected([(each, NOVEMBER) for each in both])
        assert [each.total for each in results] == [Decimal("100.50")] * 2 * len(contracts)
        counts.append(len(queries))
    assert counts[0] == counts[1]

"""What holds of taxes, whatever the lines, the rates and the currency."""

from collections import defaultdict
from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from billing.invoicing.taxes.rules import Left, Tax, Taxable, effective, included_in, taxes_of
from billing.money import round_money
from customers.currencies import minor_places

CURRENCIES = st.sampled_from(["USD", "JPY", "KWD"])
ROUNDINGS = st.sampled_from(["document", "line"])
RATES = st.sampled_from(["0", "5", "7", "9.975", "19", "20", "25"]).map(Decimal)


@st.composite
def taxes(draw: st.DrawFn) -> tuple[Tax, ...]:
    found = draw(st.lists(st.tuples(RATES, st.booleans()), min_size=1, max_size=3))
    return tuple(Tax(f"t{place}", f"T{place}", rate, compound and place > 0)
                 for place, (rate, compound) in enumerate(found))  # fmt: skip


@st.composite
def documents(draw: st.DrawFn, least: int = -(10**6)) -> tuple[str, list[Taxable]]:
    currency = draw(CURRENCIES)
    kinds = draw(st.lists(taxes(), min_size=1, max_size=2))
    cents = draw(st.lists(st.tuples(st.integers(least, 10**6), st.sampled_from(kinds)), min_size=1, max_size=8))
    return currency, [Taxable(Decimal(each).scaleb(-minor_places(currency)), kind) for each, kind in cents]


@given(documents())
def test_a_document_bears_of_each_rate_the_rate_of_its_net_rounded_once(case: tuple[str, list[Taxable]]) -> None:
    currency, lines = case
    found = taxes_of(lines, rounding="document", currency=currency, left={})
    exact: dict[object, Fraction] = defaultdict(Fraction)
    shared: dict[object, Decimal] = defaultdict(Decimal)
    for line, amounts in zip(lines, found, strict=True):
        for tax, share, amount in zip(line.taxes, effective(line.taxes), amounts, strict=True):
            exact[tax, share] += Fraction(line.net) * share
            shared[tax, share] += amount
            assert abs(Fraction(amount) - Fraction(line.net) * share) < Fraction(1, 10 ** minor_places(currency))
    assert shared == {key: round_money(each, currency) for key, each in exact.items()}


@given(documents(), ROUNDINGS)
def test_a_note_over_a_whole_document_mirrors_its_tax_line_by_line(case: tuple[str, list[Taxable]], how: str) -> None:
    currency, lines = case
    found = taxes_of(lines, rounding=how, currency=currency, left={})
    left = {place: _left(line, amounts) for place, (line, amounts) in enumerate(zip(lines, found, strict=True))}
    back = [Taxable(-line.net, line.taxes, place) for place, line in enumerate(lines)]
    mirrored = taxes_of(back, rounding=how, currency=currency, left=left)
    assert mirrored == [[-amount for amount in amounts] for amounts in found]


@given(documents(least=0), ROUNDINGS, st.lists(st.integers(1, 100), min_size=1, max_size=6))
def test_credits_of_parts_never_give_back_more_tax_and_the_last_gives_back_all(
    case: tuple[str, list[Taxable]], how: str, parts: list[int]
) -> None:
    currency, lines = case
    found = taxes_of(lines, rounding=how, currency=currency, left={})
    left = {place: _left(line, amounts) for place, (line, amounts) in enumerate(zip(lines, found, strict=True))}
    for part in [*parts, 100]:
        note = [
            Taxable(-round_money(Fraction(left[place].net) * part / 100, currency), line.taxes, place)
            for place, line in enumerate(lines)
        ]
        note = [each for each in note if each.net]
        credited = taxes_of(note, rounding=how, currency=currency, left=left)
        for each, amounts in zip(note, credited, strict=True):
            rest = left[each.corrects]
            rest.net += each.net
            for tax, amount in zip(each.taxes, amounts, strict=True):
                assert -rest.taxes[tax.code] <= amount <= 0
                rest.taxes[tax.code] += amount
    for place, rest in left.items():
        assert rest.net == 0
        assert not any(rest.taxes.values()) or lines[place].net == 0


@given(CURRENCIES, st.integers(0, 10**7), taxes())
def test_a_price_with_tax_is_its_net_and_its_tax(currency: str, cents: int, kinds: tuple[Tax, ...]) -> None:
    gross = Decimal(cents).scaleb(-minor_places(currency))
    tax = included_in(gross, kinds, currency)
    line = Taxable(gross - tax, kinds, included=tax)
    (amounts,) = taxes_of([line], rounding="document", currency=currency, left={})
    assert line.net + sum(amounts) == gross


def _left(line: Taxable, amounts: list[Decimal]) -> Left:
    return Left(line.net, {tax.code: amount for tax, amount in zip(line.taxes, amounts, strict=True)})

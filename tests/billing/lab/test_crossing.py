"""Where a candidate becomes dearer as usage grows."""

from decimal import Decimal

from billing.lab.crossing import crossings


def test_it_works() -> None:
    (found,) = crossings(lambda f: 100 * f, lambda f: 30 + 80 * f)  # a fee of 30, usage at 80 %: meets at 1.5
    assert not found.dearer
    assert Decimal("1.5") < found.factor < Decimal("1.50001")


def test_a_candidate_that_is_always_dearer_never_crosses() -> None:
    assert crossings(lambda f: 100 * f, lambda f: 1 + 100 * f) == []
    assert crossings(lambda f: 100 * f, lambda f: 100 * f) == []


def test_it_may_change_sides_twice() -> None:
    found = crossings(lambda f: 50 * f, lambda f: max(Decimal(20), 45 * f) if f < 3 else 60 * f)
    assert [each.dearer for each in found] == [False, True]
    assert abs(found[0].factor - Decimal("0.4")) < Decimal("0.0001")
    assert abs(found[1].factor - 3) < Decimal("0.0001")


def test_prices_that_touch_do_not_cross() -> None:
    assert crossings(lambda f: Decimal(10), lambda f: 10 + abs(f - 1)) == []

"""Which variant a contract gets."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.lab.shares import WHOLE, bucket, chosen


def test_it_works() -> None:
    assert bucket("spring", "K-1") == bucket("spring", "K-1")
    assert [chosen(place, [5_000, 5_000]) for place in (0, 4_999, 5_000, 9_999)] == [0, 0, 1, 1]


def test_the_bucket_of_a_contract_is_what_anybody_computes() -> None:
    """`printf spring/K-1 | sha256sum` begins with these 16 digits: as a number, modulo 10,000."""
    assert bucket("spring", "K-1") == 0x2E0130E1B1D1DEE4 % 10_000 == 1876


def test_shares_converge() -> None:
    found = Counter(chosen(bucket("spring", f"K-{n}"), [1_000, 3_000, 6_000]) for n in range(20_000))
    for variant, share in enumerate((1_000, 3_000, 6_000)):
        assert abs(found[variant] - 2 * share) < 250  # more than three standard deviations


def test_another_experiment_shuffles_anew() -> None:
    both = Counter((bucket("one", f"K-{n}") < 5_000, bucket("two", f"K-{n}") < 5_000) for n in range(8_000))
    assert all(abs(count - 2_000) < 200 for count in both.values())


@given(st.text(), st.text())
def test_every_contract_has_a_bucket(experiment: str, contract: str) -> None:
    assert 0 <= bucket(experiment, contract) < WHOLE


@given(st.integers(0, WHOLE - 1), st.integers(0, WHOLE))
def test_each_bucket_is_in_exactly_one_share(place: int, share: int) -> None:
    assert chosen(place, [share, WHOLE - share]) == (0 if place < share else 1)


@pytest.mark.parametrize("shares", [[5_000], [5_000, 6_000], [-1, 10_001]])
def test_shares_that_do_not_add_up_are_refused(shares: list[int]) -> None:
    with pytest.raises(ValueError, match="add up"):
        chosen(0, shares)

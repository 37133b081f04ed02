"""The books from the command line."""

from io import StringIO

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from config import clock
from revenue.ledger.models import AccountingPeriod
from tests.revenue.helpers import at, invoice, make_seller, use

pytestmark = pytest.mark.django_db


def run(*arguments: str, now: str = "2023-12-02") -> str:
    """What a command prints at a moment."""
    out = StringIO()
    with clock.set_to(at(now)):
        call_command(*arguments, stdout=out)
    return out.getvalue()


def test_it_works() -> None:
    contract = make_seller()
    use(contract, "2023-11-10", 123456)
    invoice(contract, "2023-12-01")

    printed = run("recognise", "--through", "2023-11")

    assert printed.splitlines() == [
        "Posted 2 entries through November 2023: revenue of USD 1,324.56.",
        "",
        "Entity       Service month  Posted in  Event                           Revenue",
        "acme         2023-11        2023-11    Service delivered             USD 90.00",
        "acme         2023-11        2023-11    Usage rated                USD 1,234.56",
    ]


def test_a_second_run_says_that_there_is_nothing_to_post() -> None:
    invoice(make_seller(), "2023-11-01")
    run("recognise", "--through", "2023-11", "--entity", "acme")

    printed = run("recognise", "--through", "2023-11-30")

    assert printed == "Nothing to post: revenue through November 2023 is already recognised.\n"


def test_a_month_is_closed() -> None:
    user = User.objects.create(username="fin")
    invoice(make_seller(), "2023-11-01")
    run("recognise", "--through", "2023-11")

    printed = run("close_books", "--entity", "acme", "--month", "2023-11", "--user", "fin")

    assert printed == "Closed November 2023 of acme with 2 entries.\n"
    assert AccountingPeriod.objects.get().closed_by == user


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["recognise", "--through", "2023-13"], "'2023-13' is no month; write it as 2023-11"),
        (["recognise", "--through", "November"], "'November' is no month; write it as 2023-11"),
        (["recognise", "--through", "2023-11", "--entity", "x"], "There is no legal entity x. There are: acme."),
        (["recognise", "--through", "2023-12"], "December 2023 is not over in the books of acme"),
        (["close_books", "--entity", "acme", "--month", "2023-12"], "December 2023 is not over in the books of acme"),
        (["close_books", "--entity", "acme", "--month", "2023-11"], "have not taken 1 document dated up to"),
        (["close_books", "--entity", "acme", "--month", "2023-11", "--user", "x"], "There is no user x."),
    ],
)
def test_a_refusal_is_a_sentence(arguments: list[str], sentence: str) -> None:
    invoice(make_seller(), "2023-11-01")

    with pytest.raises(CommandError) as refusal:
        run(*arguments)

    assert sentence in str(refusal.value)

"""`manage.py seed_scale`: ten million events of ten thousand customers and their contracts, for benchmarks."""

from argparse import ArgumentParser, BooleanOptionalAction
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime
from functools import partial
from multiprocessing import get_context
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from tqdm import tqdm

from billing.catalog import scale as catalog
from billing.catalog.models import Plan
from billing.invoicing.scale import make_invoices
from billing.metering import scale
from billing.metering.rollups import services as rollups
from config import clock
from customers.models import Contract, Customer


class Command(BaseCommand):
    help = (
        "Fill an empty database with a month of usage at scale, and contracts that pay for it. On a book of usage that"
        " it made without contracts, it makes these."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--events", type=int, default=10_000_000, metavar="N", help="10,000,000 if left out")
        parser.add_argument("--customers", type=int, default=10_000, metavar="N", help="10,000 if left out")
        parser.add_argument("--processes", type=int, default=2, metavar="N", help="2 if left out")
        parser.add_argument(
            "--contracts", action=BooleanOptionalAction, default=True,
            help="a plan of five charges, and a contract for each customer (so if left out)",
        )  # fmt: skip
        parser.add_argument(
            "--plans", type=int, default=0, metavar="N", help="more plans, of five fees; none if left out"
        )
        parser.add_argument(
            "--invoices", type=int, default=0, metavar="N",
            help="issued invoices of earlier months, totals alone; none if left out",
        )  # fmt: skip
        parser.add_argument(
            "--subscriptions", type=int, default=0, metavar="N", help="subscriptions to those plans; none if left out"
        )

    def handle(
        self, *args: Any, events: int, customers: int, processes: int, contracts: bool = True, plans: int = 0,
        subscriptions: int = 0, invoices: int = 0, **options: Any,
    ) -> None:  # fmt: skip
        if min(events, customers, processes) < 1 or min(plans, subscriptions, invoices) < 0:
            raise CommandError("--events, --customers and --processes are numbers of at least 1.")
        now = clock.now()
        if not (contracts and _without_contracts()):
            there = Customer.objects.count()
            if there:
                raise CommandError(
                    f"This database has {there:,} customers: seed_scale fills an empty one, for benchmarks."
                )
            self._usage(events, customers, processes, now)
        if contracts:
            self._contracts(plans, subscriptions, now)
        if invoices:
            made = make_invoices(invoices, now)
            self.stdout.write(f"{made:,} issued invoices of earlier months.")

    def _usage(self, events: int, customers: int, processes: int, now: datetime) -> None:
        plan = scale.prepare(events, scale.make_customers(customers, now), now)
        connection.close()  # each process opens its own
        with (
            ProcessPoolExecutor(processes, mp_context=get_context("fork")) as pool,
            tqdm(total=events, unit=" events", unit_scale=True, disable=None) as bar,
        ):
            for done in pool.map(partial(_chunk, plan, now), range(plan.chunks)):
                bar.update(done)
        scale.make_meters()
        rollups.catch_up()
        rollups.settle(now=now)
        with connection.cursor() as cursor:
            cursor.execute("VACUUM (ANALYZE) metering_hour, metering_day, metering_activity")
            cursor.execute("ANALYZE metering_event, metering_key, metering_subject, customers_usagesubject")
        self.stdout.write(f"{events:,} events of {customers:,} customers in {plan.month:%Y-%m}.")

    def _contracts(self, plans: int, subscriptions: int, now: datetime) -> None:
        start = catalog.month_of_usage(now)
        made = catalog.make_contracts(catalog.make_plan(now), start, now)
        self.stdout.write(f"{made:,} contracts from {start}, of a plan with a fee and four usage charges.")
        if plans:
            more = catalog.make_subscriptions(catalog.make_plans(plans, now), subscriptions, now)
            self.stdout.write(f"{plans:,} more plans with {more:,} subscriptions.")


def _without_contracts() -> bool:
    """Whether all that is there is usage that this command made."""
    made = Customer.objects.filter(external_id__startswith="scale-").exists()
    others = Customer.objects.exclude(external_id__startswith="scale-").exists()
    return made and not others and not Contract.objects.exists() and not Plan.objects.exists()


def _chunk(plan: scale.Scale, now: datetime, number: int) -> int:
    return scale.copy_chunk(plan, number, now)

"""`manage.py seed_scale`: ten million events of ten thousand customers, for benchmarks."""

from argparse import ArgumentParser
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime
from functools import partial
from multiprocessing import get_context
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from tqdm import tqdm

from billing.metering import scale
from billing.metering.rollups import services as rollups
from config import clock
from customers.models import Customer


class Command(BaseCommand):
    help = "Fill an empty database with a month of usage at scale: by COPY, in several processes."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--events", type=int, default=10_000_000, metavar="N", help="10,000,000 if left out")
        parser.add_argument("--customers", type=int, default=10_000, metavar="N", help="10,000 if left out")
        parser.add_argument("--processes", type=int, default=2, metavar="N", help="2 if left out")

    def handle(self, *args: Any, events: int, customers: int, processes: int, **options: Any) -> None:
        if min(events, customers, processes) < 1:
            raise CommandError("--events, --customers and --processes are numbers of at least 1.")
        there = Customer.objects.count()
        if there:
            raise CommandError(f"This database has {there:,} customers: seed_scale fills an empty one, for benchmarks.")
        now = clock.now()
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
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE metering_hour, metering_day, metering_activity")
            cursor.execute("ANALYZE metering_event, metering_key, metering_subject, customers_usagesubject")
        self.stdout.write(f"{events:,} events of {customers:,} customers in {plan.month:%Y-%m}.")


def _chunk(plan: scale.Scale, now: datetime, number: int) -> int:
    return scale.copy_chunk(plan, number, now)

"""What the run asks of the usage store, each question once, however many slots it serves."""

from collections import defaultdict
from collections.abc import Iterable

from billing.invoicing.usage import Answer, Question
from billing.metering.asking import Request
from billing.metering.interface import events
from billing.metering.models import Meter
from billing.metering.queries import claims_of


def answers(questions: Iterable[Question]) -> dict[Question, Answer]:
    """The store's answer to each question; equal ones are asked once, and each meter in one statement.

    The number of queries grows with the meters and not with the questions. MonthDetached when events are needed of a
    month that lies in the archive.
    """
    asked = dict.fromkeys(questions)
    claims = claims_of({question.customer_id for question in asked})
    by_meter: dict[int, list[Question]] = defaultdict(list)
    for question in asked:
        by_meter[question.meter_id].append(question)
    meters = Meter.objects.in_bulk(by_meter) if by_meter else {}
    found: dict[Question, Answer] = {}
    for meter_id, group in by_meter.items():
        requests = [
            Request(place, claims[each.customer_id], each.period, each.full, each.timezone)
            for place, each in enumerate(group)
        ]
        counted = events.quantities(meters[meter_id], requests)
        found.update((each, counted[place].value) for place, each in enumerate(group))
    return found

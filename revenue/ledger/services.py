"""The verbs of the books: take billing's documents, recognise revenue, close a month.

Each holds the books' lock while it writes (see `journal`), so postings and closes come one after the other. `now` is
when something is recorded; what it concerns has dates of its own.
"""

from collections.abc import Sequence
from datetime import date, datetime

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction

from billing.invoicing.models import Outbox
from customers.models import LegalEntity
from revenue.ledger import closing, documents, journal, periods, revenue_entries
from revenue.ledger.models import AccountingPeriod, JournalEntry, Posting, Recognition
from revenue.ledger.recognition import Delta, deltas
from revenue.ledger.results import RecognisedMonth, RecognitionReport, report

CHUNK = 500  # documents to a transaction


def post_documents(*, now: datetime) -> int:
    """Take the documents of the outbox that the books have not taken yet, in order; returns how many.

    Each becomes a journal entry and gets its posting position; a document of zero gets only that. Run it as often as
    you like: what is posted is not posted again. A transaction for each 500 documents, with a constant number of
    queries. Documents that commit later are taken next time: positions follow the taking, never a time.
    """
    taken = 0
    while chunk := _post_chunk(now):
        taken += chunk
    return taken


@transaction.atomic
def _post_chunk(now: datetime) -> int:
    journal.lock_books()
    waiting = list(Outbox.objects.filter(posting=None).order_by("pk")[:CHUNK])
    if not waiting:
        return 0
    entries = documents.entries_of(waiting)
    posted = dict(zip(entries, journal.post(list(entries.values()), now=now), strict=True))
    Posting.objects.bulk_create(
        [Posting(outbox=document, entry=posted.get(document.pk), posted_at=now) for document in waiting]
    )
    return len(waiting)


def preview_recognition(*, through: date, entity: LegalEntity | None = None) -> list[Delta]:
    """What `recognise` would post now, by obligation and service month, without posting: the same computation.

    Documents that the books have not taken yet are left out. `through` is any day of the last month.
    """
    return deltas(through=through, entities=_entities(entity))


@transaction.atomic
def recognise(*, through: date, now: datetime, entity: LegalEntity | None = None) -> RecognitionReport:
    """Post the revenue of all service months up to that of the day `through` that is not posted yet (R7.1, R7.5).

    Takes waiting documents first. One entry for each contract, service month and event; where the month is closed it
    goes to the earliest open one, marked with the month that it concerns. A second run posts nothing. MonthNotOver
    while the last month has not ended in the zone of the entity, or of all of them when none is named.
    """
    entities = _entities(entity)
    for each in entities:
        closing.refuse_unfinished(each, periods.month_of(through), now)
    journal.lock_books()
    return _recognise(through, entities, now)


def _recognise(through: date, entities: Sequence[LegalEntity], now: datetime) -> RecognitionReport:
    post_documents(now=now)
    found = revenue_entries.with_obligations(deltas(through=through, entities=entities))
    grouped = revenue_entries.group(found)
    posted = journal.post([entry for entry, _ in grouped], now=now)
    made = [(delta, row) for (_, group), row in zip(grouped, posted, strict=True) for delta in group]
    Recognition.objects.bulk_create([_recognition(delta, row) for delta, row in made], batch_size=journal.ROWS)
    codes = {each.pk: each.code for each in entities}
    return report(len(posted), (_month(delta, row, codes[delta.entity_id]) for delta, row in made))


@transaction.atomic
def close_period(
    *, entity: LegalEntity, month: date, user: AbstractBaseUser | None, now: datetime, recognise_first: bool = False
) -> AccountingPeriod:
    """Close the month that contains the day `month`: from then on nothing posts into it (R7.5).

    A LedgerError says what to do first while the month is not over in the entity's zone, an earlier month with entries
    is open, documents dated up to its end are not posted, revenue up to it is not what is posted, or the books do not
    tie. Earlier months without entries close with it. `recognise_first` posts what is left to post up to the month, in
    the same transaction, instead of refusing for it.
    """
    month = periods.month_of(month)
    closing.refuse_unfinished(entity, month, now)
    journal.lock_books()
    if recognise_first:
        closing.refuse_closed(entity, month)
        _recognise(month, [entity], now)
    closing.refuse_to_close(entity, month, recognised=recognise_first)
    period = periods.ensure([(entity.pk, month)])[entity.pk, month]
    AccountingPeriod.objects.filter(entity=entity, month__lte=month, state=AccountingPeriod.State.OPEN).update(
        state=AccountingPeriod.State.CLOSED, closed_at=now, closed_by=user
    )
    return AccountingPeriod.objects.get(pk=period)


def _entities(entity: LegalEntity | None) -> Sequence[LegalEntity]:
    return [entity] if entity else list(LegalEntity.objects.all())


def _recognition(delta: Delta, entry: JournalEntry) -> Recognition:
    assert delta.obligation_id is not None  # with_obligations gave each one
    return Recognition(
        obligation_id=delta.obligation_id,
        month=delta.month,
        revision=delta.revision,
        posted_before=delta.posted_before,
        target=delta.target,
        amount=delta.amount,
        entry=entry,
    )


def _month(delta: Delta, entry: JournalEntry, code: str) -> RecognisedMonth:
    posted_in = periods.month_of(entry.date)
    return RecognisedMonth(code, delta.month, posted_in, delta.event, delta.currency, delta.amount)

"""What the API answers: the report of what became of the events, and problems as RFC 9457 has them."""

from itertools import islice
from typing import Any, Final

import msgspec
from django.http import HttpResponse
from django.urls import reverse

from billing.metering import lago
from billing.metering.reports.files import ProblemLog, in_order, short
from billing.metering.services import CONFLICT, IngestReport
from billing.metering.validate import Problem

MOST_PROBLEMS: Final = 1000
"""How many conflicts and rejections the answer to a stream names; the others are counted."""


class Tally:
    """The report of a request that is stored batch by batch: counts, the problems to name, and the file of all.

    At most `most` problems are named, the first ones, each with at most 1,000 characters of id and of sentence, so
    that a stream of any length has an answer of bounded size; None names every one whole.
    """

    def __init__(self, most: int | None, log: ProblemLog | None = None) -> None:
        self.most, self.log = most, log
        self.accepted = self.duplicates = self.conflict_count = self.rejected_count = 0
        self.conflicts: list[Problem] = []
        self.rejected: list[Problem] = []

    def add(self, report: IngestReport) -> None:
        """Count another batch, whose places come after those of the batches before it."""
        self.accepted += report.accepted
        self.duplicates += report.duplicates
        self.conflict_count += len(report.conflicts)
        self.rejected_count += len(report.rejected)
        if self.most is None:
            self.conflicts += report.conflicts
            self.rejected += report.rejected
            return
        room = self.most - len(self.conflicts) - len(self.rejected)
        by_place = in_order(report.conflicts, report.rejected)
        for problem in islice(by_place, room):
            named = self.conflicts if problem.code == CONFLICT else self.rejected
            named.append(short(problem))
        if self.log:
            self.log.add(report.conflicts, report.rejected)

    def total(self) -> int:
        """How many events were looked at."""
        return self.accepted + self.duplicates + self.conflict_count + self.rejected_count

    def report(self) -> dict[str, Any]:
        """The members of the answer; the two counts stand beside lists that may not be whole."""
        members = {
            "accepted": self.accepted,
            "duplicates": self.duplicates,
            "conflicts": self.conflicts,
            "rejected": self.rejected,
        }
        if self.most is not None:
            members |= {"conflict_count": self.conflict_count, "rejected_count": self.rejected_count}
        if self.log and (file_id := self.log.close()):
            members |= {"problems_id": str(file_id), "problems_url": reverse("problems", args=[file_id])}
        return members

    def so_far(self) -> dict[str, Any]:
        """The report, for an error that ends the request after a part of it was stored; else nothing."""
        return self.report() if self.total() else {}


def report(tally: Tally) -> HttpResponse:
    """200 with counts, conflicts and rejections, even when every event was refused."""
    return HttpResponse(msgspec.json.encode(tally.report()), content_type="application/json")


def cloud_report(tally: Tally) -> HttpResponse:
    """What senders of CloudEvents understand: 204 when every event is known now, else 400 with the same report."""
    problems = sorted((*tally.conflicts, *tally.rejected), key=lambda each: each.index)
    if not problems:
        return HttpResponse(status=204)
    first = problems[0]
    if tally.total() == 1:
        return problem(400, first.code, first.message, **tally.report())
    detail = f"{len(problems):,} of {tally.total():,} events were not taken; the first, {first.index}: {first.message}"
    return problem(400, "events_refused", detail, **tally.report())


def lago_report(tally: Tally, members: dict[str, Any]) -> HttpResponse:
    """What Lago's clients understand: 200 with the events when each is known now, else 422 that names the others."""
    problems = sorted((*tally.conflicts, *tally.rejected), key=lambda each: each.index)
    if not problems:
        return HttpResponse(msgspec.json.encode(members), content_type="application/json")
    details = lago.error_details(problems)
    return problem(
        422,
        "validation_errors",
        f"{len(problems):,} of {tally.total():,} events were not taken; the first: {problems[0].message}",
        error="Unprocessable Entity",
        error_details=details if "events" in members else details["0"],
        **tally.report(),
    )


def problem(status: int, code: str, detail: str, **members: Any) -> HttpResponse:
    """An error as RFC 9457 has it: `status`, `code` for programs, `detail` for people, and further members."""
    title = HttpResponse(status=status).reason_phrase
    body = {"type": "about:blank", "title": title, "status": status, "code": code, "detail": detail} | members
    return HttpResponse(msgspec.json.encode(body), status=status, content_type="application/problem+json")

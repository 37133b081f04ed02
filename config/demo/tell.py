"""The whole demo, from a migrated database to the end of its story."""

from django.db import connection

from config.demo import desk
from config.demo.documents import draw, last_invoices
from config.demo.history import History
from config.demo.people import PEOPLE
from config.demo.progress import Progress
from config.demo.setup import set_up
from config.demo.story import Story, note
from config.demo.usage import Usage


def tell(story: Story, *, quiet: bool) -> Progress:
    """Tell what is not told yet; gives the time and the number of what this run did, by phase."""
    people = tuple(PEOPLE[: story.people])
    usage = Usage.of(story, people)
    events = sum(usage.arriving(index) for index in range(story.months + 1))
    progress = Progress({"months": (story.months + 1, "months"), "usage": (events, "events")}, quiet=quiet)
    with progress.phase("set-up"):
        set_up(story, people)
    desk.trust(story, people)
    History(story, usage, progress).tell()
    desk.lay_out(story)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    progress.close()
    _draw(story, progress, quiet=quiet)
    note("done")
    return progress


def _draw(story: Story, progress: Progress, *, quiet: bool) -> None:
    """The last invoices' documents, with a bar of their own: how many there are is known only now."""
    waiting = last_invoices(story)
    drawing = Progress({"documents": (len(waiting), "invoices")}, quiet=quiet)
    with progress.phase("documents"):
        for _ in draw(story, waiting):
            drawing.advance("documents")
            progress.done["documents"] += 1
    drawing.close()

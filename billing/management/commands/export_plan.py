"""Write a plan as a file that can be reviewed and kept in git."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from billing.catalog.errors import CatalogError
from billing.catalog.models import PlanVersion
from billing.catalog.plan_files import plan_to_json
from billing.pricing import PriceError


class Command(BaseCommand):
    """`manage.py export_plan CODE [--version N]`: a version of a plan as JSON, the latest unless a number is given."""

    help = "Write a plan as JSON: its product, charges and prices (docs/formats.md, A plan)."

    def create_parser(self, *args: Any, **kwargs: Any) -> CommandParser:
        """With a --version of its own, in place of Django's."""
        return super().create_parser(*args, conflict_handler="resolve", **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the plan and its version."""
        parser.add_argument("code", help="the plan's code")
        parser.add_argument("--version", type=int, help="the number of a version; the latest without")

    def handle(self, **options: Any) -> None:
        """Print the file."""
        code, number = options["code"], options["version"]
        versions = PlanVersion.objects.filter(plan__code=code).select_related("plan__product").order_by("-number")
        version = (versions if number is None else versions.filter(number=number)).first()
        if version is None:
            numbers = sorted(versions.values_list("number", flat=True))
            if not numbers:
                raise CommandError(f"There is no plan “{code}” with a version: choose another code.")
            raise CommandError(f"The plan “{code}” has no version {number}: it has {', '.join(map(str, numbers))}.")
        try:
            self.stdout.write(json.dumps(plan_to_json(version), indent=2, ensure_ascii=False))
        except (CatalogError, PriceError) as error:
            raise CommandError(str(error)) from error

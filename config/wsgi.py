"""The WSGI application that granian serves: the front for usage events, and Django behind it for everything else."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django = get_wsgi_application()

from billing.metering.front.wsgi import Front  # noqa: E402  needs the apps that the line above loads
from billing.metering.rollups import runner  # noqa: E402

application = Front(django)
runner.enable()

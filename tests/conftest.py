"""What every test shares."""

import os

# The sync Playwright keeps an event loop in the test's thread, and Django then refuses the database: needed for the
# browser tests, harmless elsewhere.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"

from tests import hypothesis_profiles  # noqa: F401  registers and loads the profile

"""An archive of the test's own."""

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(autouse=True)
def archive(tmp_path: Path, settings: Any) -> Path:
    """The folder of the files."""
    settings.ARCHIVE_DIR = tmp_path / "archive"
    return tmp_path / "archive"

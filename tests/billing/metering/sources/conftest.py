"""Each test has folders of its own."""

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, settings: Any) -> None:
    settings.UPLOAD_ROOT = tmp_path / "uploads"
    settings.METERBOOK_PULL_ROOTS = [str(tmp_path / "incoming")]

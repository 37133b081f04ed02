"""Our own scenarios: every file beside this one is a business case whose numbers were worked out by hand."""

from pathlib import Path

import pytest

from config.scenario.read import read
from config.scenario.run import run
from config.scenario.tell import in_words

FILES = sorted(Path(__file__).parent.glob("*.json"))


@pytest.mark.django_db
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_it_happens_as_the_scenario_expects(file: Path) -> None:
    scenario = read(file.read_text(), file.name)
    assert scenario.said["about"], "say which business case it is"
    scenario.said.setdefault("steps", []).append({"action": "verify", "args": {}, "expect": {"equal": True}})
    result = run(scenario)
    assert result.checks, "a scenario of ours expects something"
    assert result.passed, "\n".join(in_words(result, whole=False))

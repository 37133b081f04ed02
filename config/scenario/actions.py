"""An action or a question of a step: what it takes, what it answers, and the function behind it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from config.scenario.shapes import Key, Keys, Shape
from config.scenario.world import Act


@dataclass(frozen=True, slots=True)
class Action:
    """What a step may do. `answer` are the keys of what it gives, which `expect` may name.

    A question changes nothing: `params` choose what is asked, and in an `expect` it stands as rows of both.
    """

    name: str
    about: str
    shape: Shape
    act: Act
    answer: Keys = field(default_factory=dict)
    params: Mapping[str, Key] | None = None

    @property
    def asks(self) -> bool:
        """Whether it is a question."""
        return self.params is not None

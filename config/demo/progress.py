"""How far the demo is: a bar a phase, and how long each phase took in all."""

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from tqdm import tqdm


class Progress:
    """Bars for phases of known size, which may take turns. A quiet one draws nothing, and measures all the same."""

    def __init__(self, sizes: Mapping[str, tuple[int, str]] | None = None, *, quiet: bool = False) -> None:
        """`sizes` gives each phase's total and what it counts."""
        self.took: dict[str, float] = defaultdict(float)
        self.done: dict[str, int] = defaultdict(int)
        self._bars = {
            name: tqdm(total=total, desc=f"{name:>9}", unit=f" {unit}", position=place, disable=quiet)
            for place, (name, (total, unit)) in enumerate((sizes or {}).items())
        }

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Count the time of the block as the phase's."""
        begun = time.perf_counter()
        try:
            yield
        finally:
            self.took[name] += time.perf_counter() - begun

    def advance(self, name: str, by: int = 1) -> None:
        """So much more of the phase was done just now."""
        self.done[name] += by
        self.skip(name, by)

    def skip(self, name: str, by: int = 1) -> None:
        """So much of the phase was done by an earlier run."""
        if name in self._bars:
            self._bars[name].update(by)

    def close(self) -> None:
        """Leave the bars as they stand."""
        for bar in self._bars.values():
            bar.close()

"""What every view needs, in one place."""

from dataclasses import dataclass

from logagg.clock import Clock
from logagg.config import Config
from logagg.interfaces import Store
from logagg.rollup.metric import MetricSet
from logagg.search import Readings


@dataclass(frozen=True, slots=True)
class Web:
    """One configuration's store, to be read; `readings` tells how each stream's bytes become records again."""

    config: Config
    store: Store
    metrics: MetricSet
    clock: Clock
    readings: Readings

    @property
    def zone(self) -> str:
        """The zone in which times are shown, and meant where they are given without an offset."""
        return self.config.timezone

"""Progress bars for the work of an app."""

from typing import ClassVar

from logagg.terminal import Bar, progress


class Bars:
    """One bar a kind of work, from totals so far."""

    _UNITS: ClassVar[dict[str, tuple[str, str]]] = {"read": ("reading", "B"), "fold": ("folding", " chunks")}

    def __init__(self, wanted: bool | None) -> None:
        self._wanted = wanted
        self._what, self._done = "", 0
        self._bar: Bar | None = None

    def tell(self, what: str, done: int, total: int) -> None:
        if what != self._what or self._bar is None:
            self.close()
            title, unit = self._UNITS.get(what, (what, ""))
            self._bar = progress(title, total or None, unit, wanted=self._wanted)
            self._what, self._done = what, 0
        self._bar.update(done - self._done)
        self._done = done

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None

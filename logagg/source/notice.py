"""Messages about conditions that last: said once when they begin, once when they end."""

import logging

log = logging.getLogger(__name__)


class Notices:
    """What has been said, by the thing that it is about."""

    def __init__(self) -> None:
        self._said: dict[object, str] = {}

    def begin(self, about: object, text: str) -> None:
        if self._said.get(about) != text:
            self._said[about] = text
            log.warning("%s", text)

    def end(self, about: object, text: str) -> None:
        if self._said.pop(about, None) is not None:
            log.info("%s", text)

    def forget(self, about: object) -> None:
        """Nobody is going to end it."""
        self._said.pop(about, None)

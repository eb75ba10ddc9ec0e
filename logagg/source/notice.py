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

    def keep(self, about: set[object]) -> None:
        """Forget all notices about a path, except these: nobody is going to end the others."""
        for gone in [key for key in self._said if isinstance(key, tuple) and key not in about]:
            del self._said[gone]

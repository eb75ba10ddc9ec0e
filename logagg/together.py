"""Several loops of one process, each in a thread of its own, that live and end together."""

import threading
from collections.abc import Callable, Mapping

Work = Callable[[threading.Event], None]
"""A loop that ends soon after the event that it is given is set."""


def run_together(works: Mapping[str, Work], stop: threading.Event) -> None:
    """Run all works until `stop` is set, then end them one after the other, in order.

    So what an earlier one does last is still seen by those behind it. Where one fails, all are ended, `stop` is set,
    and its error is raised.
    """
    failed: list[BaseException] = []
    ends = {name: threading.Event() for name in works}

    def guarded(name: str) -> None:
        try:
            works[name](ends[name])
        except BaseException as error:
            failed.append(error)
            stop.set()

    threads = {name: threading.Thread(target=guarded, args=(name,), name=name) for name in works}
    for thread in threads.values():
        thread.start()
    stop.wait()
    for name, thread in threads.items():
        ends[name].set()
        thread.join()
    if failed:
        raise failed[0]

"""Several processes that each do a share of one work: started, heard, and never left behind.

The processes are fresh ones ("spawn"): they inherit no lock, no connection, no thread, on any system.
"""

import gc
import multiprocessing
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

from logagg.errors import LogaggError

END_S = 5.0

Share = TypeVar("Share")
Answer = TypeVar("Answer")
Tell = Callable[[int, int], None]


def run_apart(work: Callable[[Share, Tell], Answer], shares: Sequence[Share], tell: Tell) -> list[Answer]:
    """Do `work(share, tell)` in a process for each share; the answers in order.

    `work` is a module's own function; it, shares and answers can be pickled. What the processes tell is added up over
    all of them. The first error ends all processes and is raised; whatever ends the caller, a signal included, ends
    them too, at once and at any point, so their work must bear that.
    """
    context = multiprocessing.get_context("spawn")
    processes: dict[Connection, tuple[int, BaseProcess]] = {}
    try:
        for number, share in enumerate(shares):
            here, there = context.Pipe(duplex=False)
            process: BaseProcess = context.Process(target=_child, args=(work, share, there), daemon=True)
            process.start()
            there.close()           # so that the end of the process is the end of the pipe
            processes[here] = number, process
        return _hear(dict(processes), tell)
    finally:
        for _, process in processes.values():
            process.terminate()
        for connection, (_, process) in processes.items():
            process.join(END_S)
            process.kill()
            connection.close()


def _hear(processes: dict[Connection, tuple[int, BaseProcess]], tell: Tell) -> list[Any]:
    answers: list[Any] = [None] * len(processes)
    told: dict[int, tuple[int, int]] = {}
    while processes:
        for connection in wait(list(processes)):
            assert isinstance(connection, Connection)
            number, process = processes[connection]
            try:
                kind, value = connection.recv()
            except EOFError:
                process.join(END_S)
                raise LogaggError(f"a process that did a share of the work ended with {process.exitcode} before it was"
                                  " done; what it had committed is kept: run the same again") from None
            if kind == "error":
                raise value
            if kind == "told":
                told[number] = value
                tell(sum(done for done, _ in told.values()), sum(of for _, of in told.values()))
            else:
                answers[number] = value
                del processes[connection]
    return answers


def _child(work: Callable[[Any, Tell], Any], share: Any, sending: Connection) -> None:
    """The life of a process. Ctrl-C reaches the whole group: the parent ends this one, which says nothing itself."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(BrokenPipeError):         # nobody is left to tell
        try:
            answer = work(share, lambda done, total: sending.send(("told", (done, total))))
        except BrokenPipeError:
            raise
        except LogaggError as error:
            sending.send(("error", error))
        except Exception as error:
            sending.send(("error", RuntimeError(f"{type(error).__name__}: {error}")))
        else:
            sending.send(("answer", answer))


def set_up_collector() -> None:
    """Reading makes many objects and no cycles: with rare collections it takes a tenth less of its time."""
    gc.set_threshold(50_000, 20, 100)

"""A process of its own for work that may run out of memory, crash or hang, and is then given up in a sentence."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

from sase_gan.memory import out_of_memory


class GivenUp(Exception):
    """Work was given up; the message says why, as a sentence."""


class Apart:
    """A process apart does one call after the other; whatever becomes of it, the caller goes on.

    It is begun with the first call and anew after each call that failed. A context manager, which ends it.

    Args:
        begin: called with `arguments` in each new process, before any work.
    """

    def __init__(self, begin: Callable[..., object] | None = None, *arguments: object) -> None:
        self._begin = (begin, arguments)
        self._context = multiprocessing.get_context("spawn")
        self._process: Any = None
        self._connection: Connection | None = None

    def __enter__(self) -> Apart:
        return self

    def __exit__(self, *unused: object) -> None:
        self.end()

    def call(self, function: Callable[..., Any], *arguments: object, seconds: float) -> Any:
        """Return what the function returns in that process.

        Args:
            function: of a module, so that the process finds it; arguments and result travel as pickles.
            seconds: by the clock, the start of the process included, after which it is killed.

        Raises:
            GivenUp: an error in the function, too little memory, a process that died, or no result in time.
        """
        connection = self._connection or self._start()
        connection.send((function, arguments))
        if not connection.poll(max(seconds, 0.0)):
            self.end()
            raise GivenUp(f"It was not done after {seconds:.0f} s and was given up.")
        try:
            done, result = connection.recv()
        except (EOFError, ConnectionError):
            self._process.join()
            code = self._process.exitcode
            self.end()
            raise GivenUp(f"Its process died with exit code {code}.") from None
        if not done:
            self.end()
            raise GivenUp(result)
        return result

    def end(self) -> None:
        """Kill the process, if there is one; what it holds of a device is free then."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            assert self._connection is not None
            self._connection.close()
        self._process = self._connection = None

    def _start(self) -> Connection:
        self._connection, theirs = self._context.Pipe()
        self._process = self._context.Process(target=_serve, args=(theirs, *self._begin), daemon=True)
        self._process.start()
        theirs.close()
        return self._connection


def _serve(connection: Connection, begin: Callable[..., object] | None, arguments: tuple[object, ...]) -> None:
    with suppress(KeyboardInterrupt, EOFError):
        if begin is not None:
            begin(*arguments)
        while True:
            function, given = connection.recv()
            try:
                answer = (True, function(*given))
            except Exception as error:
                answer = (False, sentence_of(error))
            connection.send(answer)


def sentence_of(error: BaseException) -> str:
    r"""Say what went wrong in one sentence.

    Example:
        >>> sentence_of(MemoryError()), sentence_of(ValueError("no such kernel\nand more"))
        ('The memory does not suffice.', 'It failed: ValueError: no such kernel.')
    """
    if out_of_memory(error):
        return "The memory does not suffice."
    first = str(error).strip().split("\n")[0].rstrip(".")
    return f"It failed: {type(error).__name__}{f': {first}' if first else ''}."

"""Calling drivers that block from asynchronous probes, without ever waiting for one that is stuck."""

from __future__ import annotations

import asyncio
import os
import queue
import threading
from collections.abc import Callable
from functools import partial
from typing import Generic, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
_LINGER_SECONDS = 5.0


class _Worker:
    """A daemon thread that does one job after the other; one that is stuck is never given another."""

    idle: list[_Worker] = []  # noqa: RUF012 - of the class, on purpose: whoever has nothing to do
    lock = threading.Lock()

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[Callable[[], Callable[[], None]]] = queue.SimpleQueue()
        threading.Thread(target=self._run, name="watchkeeper-blocking-call", daemon=True).start()

    @classmethod
    def take(cls) -> _Worker:
        """Return one that has nothing to do, or a new one: to start a thread holds up the loop for milliseconds."""
        with cls.lock:
            if cls.idle:
                return cls.idle.pop()
        return cls()

    @classmethod
    def forget(cls) -> None:
        """Begin anew in a forked child, where no thread of the parent runs."""
        cls.lock = threading.Lock()
        cls.idle = []

    def do(self, job: Callable[[], Callable[[], None]]) -> None:
        """Have a job done and its outcome told, by what the job returns; neither must raise."""
        self._jobs.put(job)

    def _run(self) -> None:
        while True:
            try:
                job = self._jobs.get(timeout=_LINGER_SECONDS)
            except queue.Empty:
                with self.lock:
                    if self in self.idle:
                        self.idle.remove(self)
                        return
                continue
            tell = job()
            with self.lock:
                self.idle.append(self)  # before it is told: who is told may have the next call at once
            tell()
            del job, tell


os.register_at_fork(after_in_child=_Worker.forget)


async def in_thread(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a blocking call in a daemon thread and await it.

    Unlike `asyncio.to_thread`, a cancelled wait leaves the thread behind without holding up the end of the loop or of
    the process: a stuck name look-up cannot be interrupted in any other way. There is no bound, as a stuck call must
    not keep others from being made; whoever calls bounds how much is done at a time.
    """
    return await _begun(partial(function, *args, **kwargs))


class Job(Generic[T]):
    """A blocking call that is told to stop where the wait for it is cancelled, and is waited for all the same.

    Args:
        function: The call.
        stop: Has it end soon; called from another thread.
    """

    def __init__(self, function: Callable[[], T], stop: Callable[[], None]) -> None:
        self._function, self._stop = function, stop
        self._future: asyncio.Future[T] | None = None

    async def done(self) -> T:
        """Begin where it was not begun, and wait; a wait that is cancelled leaves the call as it is."""
        if self._future is None:
            self._future = _begun(self._function)
        return await asyncio.shield(self._future)

    async def end(self, seconds: float) -> T:
        """Have it stop, and wait for what it came to.

        Raises:
            TimeoutError: It did not end in time; it goes on by itself.
        """
        self._stop()
        return await asyncio.wait_for(self.done(), seconds)


def _begun(function: Callable[[], T]) -> asyncio.Future[T]:
    """Have a daemon thread call, and return what will hold the result."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if future.cancelled():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]

    def tell(result: T | None, error: BaseException | None) -> None:
        try:
            loop.call_soon_threadsafe(settle, result, error)
        except RuntimeError:
            return  # the loop has ended; nobody waits any more

    def run() -> Callable[[], None]:
        result: T | None = None
        error: BaseException | None = None
        try:
            result = function()
        except BaseException as caught:  # noqa: BLE001 - handed to the waiting side, whatever it is
            error = caught
        return partial(tell, result, error)

    _Worker.take().do(run)
    return future

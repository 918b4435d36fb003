"""Calling drivers that block from asynchronous probes, without ever waiting for one that is stuck."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def in_thread(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a blocking call in a daemon thread and await it.

    Unlike `asyncio.to_thread`, a cancelled wait leaves the thread behind without holding up the end of the loop or of
    the process: a stuck name look-up cannot be interrupted in any other way.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if future.cancelled():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        result: T | None = None
        error: BaseException | None = None
        try:
            result = function(*args, **kwargs)
        except BaseException as caught:  # noqa: BLE001 - handed to the waiting side, whatever it is
            error = caught
        try:
            loop.call_soon_threadsafe(settle, result, error)
        except RuntimeError:
            return  # the loop has ended; nobody waits any more

    threading.Thread(target=run, name=f"watchkeeper-{function.__name__}", daemon=True).start()
    return await future

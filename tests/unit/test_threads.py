"""Blocking calls in threads: reused where they are free, never waited for where they are stuck."""

from __future__ import annotations

import asyncio
import os
import threading

import pytest

from tasks.clients.threads import in_thread


async def test_what_a_call_returns_or_raises_is_handed_over():
    assert await in_thread(divmod, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        await in_thread(divmod, 7, 0)


async def test_calls_one_after_the_other_share_a_thread_that_is_free():
    threads = {await in_thread(threading.get_ident) for _ in range(50)}
    assert len(threads) < 25


async def test_a_call_that_is_stuck_is_left_behind_and_keeps_no_other_from_being_made():
    stuck = threading.Event()
    try:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await in_thread(stuck.wait)
        assert await asyncio.gather(*(in_thread(len, "abc") for _ in range(20))) == [3] * 20
    finally:
        stuck.set()


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
async def test_a_forked_child_makes_threads_of_its_own():
    await in_thread(len, "abc")
    child = os.fork()
    if child == 0:
        try:
            answer = asyncio.new_event_loop().run_until_complete(asyncio.wait_for(in_thread(len, "abc"), 60))
            os._exit(0 if answer == 3 else 1)
        finally:
            os._exit(2)
    _, status = os.waitpid(child, 0)  # noqa: ASYNC222 - a forked child, not a program
    assert os.waitstatus_to_exitcode(status) == 0

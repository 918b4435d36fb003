"""Waiting for what a real server does in its own time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def eventually(take: Callable[[], Awaitable[T]], timeout: float = 60) -> T:  # noqa: ASYNC109
    """Call until the result is true, and return it; fails after the time-out (seconds)."""
    async with asyncio.timeout(timeout):
        while True:
            if result := await take():
                return result
            await asyncio.sleep(0.02)

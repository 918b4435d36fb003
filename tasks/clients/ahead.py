"""Reading ahead: while one piece is compressed and stored, the next one is already asked for."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterable
from typing import TypeVar

T = TypeVar("T")
_PATIENCE = 0.2


class _End:
    """The end of what is read, with the exception that ended it, if any."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def ahead(pieces: Iterable[T], depth: int = 1) -> Generator[T, None, None]:
    """Yield the pieces in their order, read in a thread that is up to `depth` pieces ahead.

    What reading raises is raised here, at its place. Where this generator is closed early, reading ends with the piece
    that it is at.
    """
    waiting: queue.Queue[T | _End] = queue.Queue(depth)
    over = threading.Event()

    def hand(piece: T | _End) -> bool:
        while not over.is_set():
            try:
                waiting.put(piece, timeout=_PATIENCE)
            except queue.Full:
                continue
            return True
        return False

    def read() -> None:
        error: BaseException | None = None
        try:
            for piece in pieces:
                if not hand(piece):
                    break
        except BaseException as caught:  # noqa: BLE001 - raised where the pieces are used
            error = caught
        hand(_End(error))

    reader = threading.Thread(target=read, name="watchkeeper-read-ahead", daemon=True)
    reader.start()
    try:
        while not isinstance(piece := waiting.get(), _End):
            yield piece
        if piece.error is not None:
            raise piece.error
    finally:
        over.set()
        reader.join()

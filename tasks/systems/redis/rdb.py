"""Checks an RDB as it streams by: where it begins, when it was taken, and that its checksum is right. Pure.

The checksum is CRC-64/REDIS (Jones' polynomial, reflected, from 0) of all that comes before its last eight bytes, which
hold it; they are zero where the server keeps none. It is reckoned in columns, many bytes at a step.
"""

from __future__ import annotations

import functools
import re
import struct
from typing import Any

import numpy as np

from tasks.core.errors import Garbled

_POLYNOMIAL = 0x95AC9329AC4BC9B5
_LANE = 64
_TRAILER = 8
_LEAST = 2 * _TRAILER
_BLOCK = 1 << 18  # a power of two keeps all lanes busy
_END = 0xFF
_HEAD = 4096
_MASK = np.uint64(0xFF)

Words = np.ndarray[Any, np.dtype[np.uint64]]


def crc64(data: bytes, start: int = 0) -> int:
    """Return the checksum of bytes that follow others whose checksum is `start`."""
    lanes = 1 << max(0, (len(data) // _LANE).bit_length() - 1)
    whole = lanes * _LANE
    while len(data) >= _LANE and whole:
        start = _shifted(start, whole) ^ _of_lanes(data[:whole], lanes)
        data = data[whole:]
        lanes = 1 << max(0, (len(data) // _LANE).bit_length() - 1)
        whole = lanes * _LANE
    table = _table().tolist()
    for byte in data:
        start = table[(start ^ byte) & 0xFF] ^ (start >> 8)
    return int(start)


def _of_lanes(data: bytes, lanes: int) -> int:
    """Reckon lanes of equal length side by side, then join neighbours until one is left."""
    columns = np.frombuffer(data, np.uint8).reshape(lanes, _LANE).T.astype(np.uint64)
    table, sums = _table(), np.zeros(lanes, np.uint64)
    for column in columns:
        sums = table[(sums ^ column) & _MASK] ^ (sums >> np.uint64(8))
    length = _LANE
    while len(sums) > 1:
        sums = _applied(_zeros(length), sums[0::2]) ^ sums[1::2]
        length *= 2
    return int(sums[0])


def _shifted(value: int, length: int) -> int:
    return int(_applied(_zeros(length), np.array([value], np.uint64))[0])


def _applied(operator: Words, values: Words) -> Words:
    result = np.zeros_like(values)
    for byte in range(8):
        result ^= operator[byte][(values >> np.uint64(8 * byte)) & _MASK]
    return result


@functools.cache
def _table() -> Words:
    table = np.arange(256, dtype=np.uint64)
    for _ in range(8):
        table = (table >> np.uint64(1)) ^ np.where(table & np.uint64(1), np.uint64(_POLYNOMIAL), np.uint64(0))
    return table


@functools.cache
def _zeros(length: int) -> Words:
    """Return what so many zero bytes (a power of two) do to a checksum, by each of its bytes."""
    single = np.arange(256, dtype=np.uint64)
    each = np.stack([single << np.uint64(8 * byte) for byte in range(8)])
    if length == 1:
        flat = each.reshape(-1)
        once: Words = (_table()[flat & _MASK] ^ (flat >> np.uint64(8))).reshape(8, 256)
        return once
    half = _zeros(length // 2)
    twice: Words = _applied(half, _applied(half, each.reshape(-1))).reshape(8, 256)
    return twice


class Check:
    """Watches the chunks of one RDB."""

    def __init__(self) -> None:
        self.size = 0
        self._head, self._sum = b"", 0
        self._held = bytearray()

    def take(self, chunk: bytes) -> None:
        """Look at the next bytes.

        Raises:
            Garbled: It begins as no RDB does.
        """
        self.size += len(chunk)
        if len(self._head) < _HEAD:
            self._head += chunk[: _HEAD - len(self._head)]
            if len(self._head) >= _TRAILER + 1 and not re.match(rb"(REDIS|VALKEY)\d{3,4}", self._head):
                raise Garbled("what it sends is no RDB")
        self._held += chunk
        while len(self._held) >= _BLOCK + _LEAST:
            self._sum = crc64(bytes(self._held[:_BLOCK]), self._sum)
            del self._held[:_BLOCK]

    def finish(self) -> bool:
        """Return whether there was a checksum, which then was right.

        Raises:
            Garbled: It ends as no RDB does, or the checksum is another.
        """
        if len(self._held) < _LEAST or self._held[-_TRAILER - 1] != _END:
            raise Garbled("the RDB does not end as one")
        told = struct.unpack("<Q", self._held[-_TRAILER:])[0]
        self._sum = crc64(bytes(self._held[:-_TRAILER]), self._sum)
        if told and told != self._sum:
            raise Garbled("the RDB's checksum is wrong", hint="take it again; if it stays so, look at the network")
        return bool(told)

    @property
    def seconds(self) -> int | None:
        """When it was taken, in seconds since 1970 by the server's clock; None where it does not say."""
        found = re.search(rb"\xfa\x05ctime\xc2(....)", self._head, re.DOTALL)
        return struct.unpack("<I", found[1])[0] if found else None

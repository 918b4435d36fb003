"""mongodump's own layout: how its files are called, and how documents lie in them. Pure."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote, unquote

from bson import CodecOptions, DatetimeConversion, json_util
from bson.raw_bson import RawBSONDocument

from tasks.core.errors import Garbled

FOLDER = "dump"
OPLOG = f"{FOLDER}/oplog.bson"
BUCKETS = "system.buckets."

RAW: CodecOptions[RawBSONDocument] = CodecOptions(
    document_class=RawBSONDocument,
    datetime_conversion=DatetimeConversion.DATETIME_AUTO,  # Python has no date for some
    unicode_decode_error_handler="replace",
)
_METADATA, _BSON = ".metadata.json", ".bson"
_LENGTH = struct.Struct("<i")
_SMALLEST, _LARGEST = 5, 48 << 20  # the empty document; what a server takes in one message


class NotBson(Garbled):
    """A part is not what mongodump would have written."""


def path_of(database: str, collection: str) -> str:
    """Return where a collection's files lie, without their ending."""
    return f"{FOLDER}/{_escaped(database)}/{_escaped(collection)}"


def metadata_of(path: str) -> str:
    """Return the part with what a collection is made with."""
    return path + _METADATA


def bson_of(path: str) -> str:
    """Return the part with a collection's documents."""
    return path + _BSON


def collections_in(parts: Iterable[str]) -> dict[tuple[str, str], list[str]]:
    """Return the parts of every collection, by database and collection, sorted."""
    found: dict[tuple[str, str], list[str]] = {}
    for part in sorted(parts):
        pieces = part.split("/")
        if len(pieces) != 3 or pieces[0] != FOLDER:  # noqa: PLR2004 - dump/<database>/<collection>
            continue
        stem = pieces[2].removesuffix(_METADATA).removesuffix(_BSON)
        found.setdefault((unquote(pieces[1]), unquote(stem)), []).append(part)
    return found


def is_metadata(part: str) -> bool:
    """Tell whether a part holds what a collection is made with."""
    return part.endswith(_METADATA)


def metadata_text(metadata: dict[str, Any]) -> str:
    """Return metadata as mongodump writes it: canonical extended JSON."""
    return json_util.dumps(metadata, json_options=json_util.CANONICAL_JSON_OPTIONS)


def read_metadata(text: bytes) -> dict[str, Any]:
    """Read what a collection is made with.

    Raises:
        NotBson: It is none.
    """
    try:
        found = json_util.loads(text)
        if isinstance(found, dict) and isinstance(found["collectionName"], str):
            return found
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    raise NotBson("it is no metadata of a collection")


def documents_in(batch: bytes) -> int:
    """Count the documents of a batch by their lengths alone.

    Raises:
        Garbled: It ends in the middle of one.
    """
    count = position = 0
    size, unpack = len(batch), _LENGTH.unpack_from
    while position + _SMALLEST <= size:
        (length,) = unpack(batch, position)
        if length < _SMALLEST:
            break
        position += length
        count += 1
    if position != size:
        raise Garbled("a batch ends in the middle of a document")
    return count


def documents(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Cut a file of BSON into its documents, as it comes.

    Raises:
        NotBson: It ends in the middle of one, or what should be one is none.
    """
    for piece in whole(chunks):
        position = 0
        while position < len(piece):
            end = position + _LENGTH.unpack_from(piece, position)[0]
            if piece[end - 1]:
                raise NotBson("a document does not end as one")
            yield piece[position:end]
            position = end


def whole(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Cut a stream of BSON between its documents only, some of them to a piece.

    Raises:
        NotBson: It ends in the middle of one, or what should be one is none.
    """
    held = b""
    for chunk in chunks:
        held = held + chunk if held else chunk
        position = end = 0
        while position + 4 <= len(held):
            (length,) = _LENGTH.unpack_from(held, position)
            if not _SMALLEST <= length <= _LARGEST:
                raise NotBson("there is no document where one should begin")
            position += length
            if position > len(held):
                break
            end = position
        if end:
            yield held[:end]
            held = held[end:]
    if held:
        raise NotBson("it ends in the middle of a document")


def raw(document: bytes) -> RawBSONDocument:
    """Return a document that is read as far as it is looked at, and written just as it was."""
    return RawBSONDocument(document, RAW)


def _escaped(name: str) -> str:
    return quote(name, safe="$ ").replace("%20", " ")

"""The chain of evidence: each record holds the hash of the one before, so that no change or removal is unseen.

This file needs nothing but Python 3.9 or newer: it goes into every pack as `verify.py`, so that an auditor checks a
pack offline and without Watchkeeper: `python3 verify.py PACK.zip [--head NUMBER:HASH]`.

A record is one JSON document in canonical form: keys sorted, no spaces, UTF-8, one newline at the end. What stands
outside of it (`OUTSIDE`) is hashed into its field `sha256`; all else is its content, whose hash `content_sha256` stands
outside. So a pack for one platform can withhold what the others' records say, and the chain still holds. `previous` is
the `sha256` of the record before. Records of format 1 have no `content_sha256`: there `sha256` is of all other fields.
"""

from __future__ import annotations

import hashlib
import io
import json
import sys
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from json.encoder import encode_basestring
from typing import Any, NamedTuple, Optional, Union

GENESIS = "0" * 64
"""What the first record has instead of the hash of the one before."""

OUTSIDE = (
    "collected_at", "content_sha256", "environment", "flow", "format", "platform", "previous", "sequence",
)  # fmt: skip
"""The fields that are shown of every record, even where its content is withheld."""

FORMAT = 2
SHORTEST_HEAD = 12
_SEALED = "content_sha256"
_NOTHING = hashlib.sha256(b"{}\n").hexdigest()
_STEADY = timedelta(hours=1)
_MOST_NOTES = 5
FIXED_TIME = (1980, 1, 1, 0, 0, 0)
MANIFEST = "MANIFEST.json"
RECORDS = "records/"
STAMPS = "stamps/"


class Head(NamedTuple):
    """Where a chain ends: the number of its last record, and its hash, or how that begins."""

    sequence: int
    sha256: str

    def __str__(self) -> str:
        return f"{self.sequence}:{self.sha256}"


class Fault(NamedTuple):
    """The first record that is bad, and what is wrong with it."""

    sequence: int
    what: str


class Checked(NamedTuple):
    """What checking a chain told.

    Attributes:
        records: How many are good, from the first on.
        head: Where the good part ends; None where there is no record.
        fault: The first bad record; None where all are good.
        notes: What is odd and breaks nothing: a clock that went back.
        withheld: Of how many records the content was left out.
    """

    records: int
    head: Head | None
    fault: Fault | None
    notes: tuple[str, ...] = ()
    withheld: int = 0


def canonical(document: Any) -> bytes:
    """Return a document in the only form that a record may have.

    Raises:
        ValueError: It holds a number that is none.
    """
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "surrogatepass") + b"\n"


def digest(document: dict[str, Any]) -> str:
    """Return the hash of a record: of what stands outside; of format 1, of all but its own field `sha256`."""
    return _sha256(hashed(document))


def hashed(document: dict[str, Any]) -> bytes:
    """Return the bytes whose SHA-256 is the hash of a record."""
    outside = set(OUTSIDE) if _SEALED in document else set(document) - {"sha256"}
    return _joined(_pieces(document), outside)


def content_digest(document: dict[str, Any]) -> str:
    """Return the hash of a record's content."""
    return _sha256(_joined(_pieces(document), set(document) - {*OUTSIDE, "sha256"}))


def seal(body: dict[str, Any], before: Head | None) -> tuple[Head, bytes]:
    """Make the record that follows a head: where the chain ends then, and the record's bytes."""
    sequence = before.sequence + 1 if before else 1
    document = {**body, "format": FORMAT, "sequence": sequence, "previous": before.sha256 if before else GENESIS}
    pieces = _pieces(document)
    pieces[_SEALED] = _piece(_SEALED, _sha256(_joined(pieces, set(pieces) - set(OUTSIDE))))
    sha256 = _sha256(_joined(pieces, set(OUTSIDE)))
    pieces["sha256"] = _piece("sha256", sha256)
    return Head(sequence, sha256), _joined(pieces, set(pieces))


def withhold(data: bytes) -> bytes:
    """Return a record without its content; one of format 1 as it is."""
    document = json.loads(data)
    if _SEALED not in document:
        return data
    return canonical({name: held for name, held in document.items() if name in (*OUTSIDE, "sha256")})


def _piece(name: str, held: Any) -> bytes:
    if type(held) is str:  # most are, and this is thrice as quick
        return f"{encode_basestring(name)}:{encode_basestring(held)}".encode("utf-8", "surrogatepass")
    return canonical({name: held})[1:-2]


def _pieces(document: dict[str, Any]) -> dict[str, bytes]:
    """Return each field as it stands in the canonical form: of large records, nothing is written twice."""
    return {name: _piece(name, held) for name, held in document.items()}


def _joined(pieces: dict[str, bytes], names: set[str]) -> bytes:
    return b"{" + b",".join(pieces[name] for name in sorted(pieces) if name in names) + b"}\n"


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def parse_head(text: str) -> Head:
    """Read `NUMBER:HASH`; of the hash, the beginning is enough.

    Raises:
        ValueError: It is none.
    """
    number, colon, sha256 = text.strip().partition(":")
    good = colon and number.isascii() and number.isdigit() and SHORTEST_HEAD <= len(sha256) <= len(GENESIS)
    if not good or not set(sha256.lower()) <= set("0123456789abcdef"):
        raise ValueError(f"{text!r} is no head: write NUMBER:HASH, such as 42:9f8a1c0d2b3e")
    return Head(int(number), sha256.lower())


def check(
    records: Iterable[tuple[int, bytes]],
    told: Union[Head, Sequence[Head], None] = None,  # noqa: UP007 - an auditor's Python may be older
    start: int = 1,
    *,
    withheld: bool = False,
    each: Optional[Callable[[dict[str, Any]], None]] = None,  # noqa: UP045 - as above
) -> Checked:
    """Check a chain, and name the first record that is bad.

    Args:
        records: Number and bytes of each, in the order of their numbers.
        told: Where the chain ended as was told outside, once or several times; a chain may be longer than that, and
            not shorter.
        start: The number of the first record, where only a part of a chain is there.
        withheld: Whether the content of records may be left out.
        each: Called with each record, once it was found good by itself.
    """
    chain = _Chain(told, start, withheld=withheld, each=each)
    for sequence, data in records:
        fault = chain.take(sequence, data)
        if fault is not None:
            return chain.told(fault)
    return chain.told(chain.end())


class _Chain:
    """What was seen of a chain so far."""

    def __init__(self, told: Any, start: int, *, withheld: bool, each: Any) -> None:
        self.last: Head | None = None
        self.taken = 0
        self._told = (told,) if isinstance(told, Head) else tuple(told or ())
        self._start = start
        self._may_withhold, self._each = withheld, each
        self._doubted: int | None = None
        self._notes: list[str] = []
        self._withheld = 0
        self._newest = ""

    def take(self, sequence: int, data: bytes) -> Fault | None:
        """Take the next record; return the first bad one, once it is known."""
        document, wrong = _alone(sequence, data, self.last.sequence + 1 if self.last else self._start)
        if self._doubted is not None:
            # Of two that do not fit, the one is bad to which the next one does not fit either.
            second = bool(document) and self.last is not None and document["previous"] != self.last.sha256
            return _replaced(self._doubted + second)
        if wrong is not None:
            return wrong
        if self.last is None and self._start == 1 and document["previous"] != GENESIS:
            return Fault(sequence, "it is not the first of a chain")
        if self.last is not None and document["previous"] != self.last.sha256:
            self._doubted = self.last.sequence
        self.last = Head(sequence, document["sha256"])
        self.taken += 1
        return self._seen(document)

    def _seen(self, document: dict[str, Any]) -> Fault | None:
        sequence, sha256 = document["sequence"], document["sha256"]
        if any(one.sequence == sequence and not sha256.startswith(one.sha256) for one in self._told):
            return Fault(
                sequence, "it is not the record whose hash was told outside: the ledger was made anew, or split"
            )
        if document.get(_SEALED, _NOTHING) != _NOTHING and set(document) <= {*OUTSIDE, "sha256"}:
            if not self._may_withhold:
                return Fault(sequence, "its content was removed")
            self._withheld += 1
        self._clock(sequence, document.get("collected_at"))
        if self._each is not None:
            self._each(document)
        return None

    def _clock(self, sequence: int, at: Any) -> None:
        """Note a clock that went back: written alike, times are in order as their texts are."""
        if not isinstance(at, str):
            return
        if at < self._newest and (back := _between(at, self._newest)) > _STEADY:
            self._notes.append(f"record {sequence} was collected {back} before one that precedes it: a clock was wrong")
        self._newest = at

    def end(self) -> Fault | None:
        """Return what is bad now that there are no more records."""
        if self._doubted is not None:
            return _replaced(self._doubted)
        most = max((one.sequence for one in self._told), default=0)
        if self.last is None or self.last.sequence < most:
            missing = self.last.sequence + 1 if self.last else self._start
            return Fault(missing, f"it is missing: record {most} was told outside") if most else None
        return None

    def told(self, fault: Fault | None) -> Checked:
        """Return what was found."""
        more = len(self._notes) - _MOST_NOTES
        notes = (*self._notes[:_MOST_NOTES], *([f"and {more} more such jumps"] if more > 0 else ()))
        return Checked(fault.sequence - self._start if fault else self.taken, self.last, fault, notes, self._withheld)


def _between(earlier: str, later: str) -> timedelta:
    try:
        written = "%Y-%m-%dT%H:%M:%SZ"
        return datetime.strptime(later, written) - datetime.strptime(earlier, written)  # noqa: DTZ007 - both are UTC
    except ValueError:
        return timedelta()


def _replaced(sequence: int) -> Fault:
    return Fault(sequence, "it was replaced: its neighbour was chained to another record")


def _alone(sequence: int, data: bytes, wanted: int) -> tuple[dict[str, Any], Fault | None]:
    """Read a record and check it by itself; it is empty where it cannot be read."""
    if sequence != wanted:
        missing = Fault(wanted, "it is missing")
        return {}, missing if sequence > wanted else Fault(sequence, "it is there twice")
    try:
        document = json.loads(data)
        good = isinstance(document["previous"], str) and _holds(document, data)
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        return {}, Fault(sequence, "it is no record")
    if not good:
        return {}, Fault(sequence, "it was changed: its hash is another")
    if document.get("sequence") != sequence:
        return {}, Fault(sequence, f"it was moved: it is record {document.get('sequence')}")
    return document, None


def _holds(document: dict[str, Any], data: bytes) -> bool:
    """Tell whether a record has the one form that it may have, and the hashes that it says."""
    if _holds_at_once(document, data):
        return True
    pieces = _pieces(document)
    names = set(pieces)
    if _joined(pieces, names) != data:
        return False
    outside = set(OUTSIDE) if _SEALED in document else names - {"sha256"}
    if document.get("sha256") != _sha256(_joined(pieces, outside)):
        return False
    inside = names - outside - {"sha256"}
    return not inside or _SEALED not in document or document[_SEALED] == _sha256(_joined(pieces, inside))


def _holds_at_once(document: dict[str, Any], data: bytes) -> bool:
    """Tell the same without writing the content anew; where it is False, only the long way tells.

    The bytes are cut at the fields that stand outside. What is left is the content: where both have the hashes that the
    record says, every byte is as it was sealed, and fields that are in order stand where they stood.
    """
    names = list(document)
    if _SEALED not in document or names != sorted(names) or data[:1] != b"{" or data[-2:] != b"}\n":
        return False
    body, outside, inside = data[1:-2], [], []
    begin, end = 0, len(body)
    middle = names.index("facts") if "facts" in document else len(names)
    shown = {*OUTSIDE, "sha256"}
    first, last = [[name for name in some if name in shown] for some in (names[:middle], names[middle:])]
    late: list[bytes] = []
    for name in first:
        piece = _piece(name, document[name])
        at = body.find(piece, begin, end)
        if at < 0:
            return False
        inside.append(body[begin:at])
        outside.append((name, piece))
        begin = at + len(piece)
    for name in reversed(last):
        piece = _piece(name, document[name])
        at = body.rfind(piece, begin, end)
        if at < 0:
            return False
        late.append(body[at + len(piece) : end])
        outside.append((name, piece))
        end = at
    between = [*inside, body[begin:end], *reversed(late)]
    content = b",".join(part for part in (one.strip(b",") for one in between) if part)
    hashed_ = b",".join(piece for name, piece in sorted(outside) if name != "sha256")
    return (
        bool(content)
        and document[_SEALED] == _sha256(b"{" + content + b"}\n")
        and (document["sha256"] == _sha256(b"{" + hashed_ + b"}\n"))
    )


def pack(files: Iterable[tuple[str, bytes]], into: Any) -> None:
    """Write files into an archive that has one form only, so that no byte of it can change unseen.

    Args:
        files: Names and contents; a manifest with the hash of each is added.
        into: A file to write to, or a path.
    """
    hashes = {}
    with zipfile.ZipFile(into, "w", zipfile.ZIP_STORED) as archive:
        for name, data in files:
            hashes[name] = hashlib.sha256(data).hexdigest()
            _put(archive, name, data)
        _put(archive, MANIFEST, canonical({"files": hashes, "format": 1}))


def _put(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    entry = zipfile.ZipInfo(name, FIXED_TIME)
    entry.create_system, entry.external_attr = 3, 0o644 << 16
    archive.writestr(entry, data)


def check_pack(data: bytes, told: Head | None = None) -> tuple[list[str], Checked | None]:
    """Check a pack: what is wrong with it in sentences, and what its chain told.

    Args:
        data: The whole archive.
        told: Where the chain ended as was told outside.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            files = [(name, archive.read(name)) for name in archive.namelist()]
        if len(dict(files)) != len(files):
            return ["a file is in it twice"], None
        hashes = json.loads(dict(files)[MANIFEST])["files"]
        wrong = _wrong_files(files, hashes)
    except Exception as error:  # noqa: BLE001 - a damaged archive makes zipfile raise whatever it likes
        return [f"it is no pack, or damaged: {error}"], None
    again = io.BytesIO()
    pack([(name, held) for name, held in files if name != MANIFEST], again)
    if not wrong and again.getvalue() != data:
        wrong.append("the archive itself was changed")
    numbered = sorted((_number(name), held) for name, held in files if name.startswith(RECORDS))
    checked = check(numbered, told, numbered[0][0] if numbered else 1, withheld=True)
    if checked.fault is not None:
        wrong.append(f"record {checked.fault.sequence}: {checked.fault.what}")
    sealed = {number: bytes.fromhex(json.loads(held)["sha256"]) for number, held in numbered[: checked.records]}
    for name, held in files:
        if name.startswith(STAMPS) and sealed.get(_number(name), b"\n") not in held:
            wrong.append(f"{name} is not the time stamp of a record")
    return wrong, checked


def _wrong_files(files: list[tuple[str, bytes]], hashes: dict[str, str]) -> list[str]:
    wrong = [f"{name} is missing" for name in hashes if name not in dict(files)]
    for name, data in files:
        if name != MANIFEST and hashes.get(name) != hashlib.sha256(data).hexdigest():
            wrong.append(f"{name} was changed, or added")
    return wrong


def _number(name: str) -> int:
    try:
        return int(name.rpartition("/")[2].partition(".")[0])
    except ValueError:
        return -1


def read_pack(data: bytes) -> Iterator[dict[str, Any]]:
    """Yield the records of a pack that was checked."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for name in archive.namelist():
            if name.startswith(RECORDS):
                yield json.loads(archive.read(name))


def main(arguments: list[str]) -> int:
    """Check a pack from the command line: 0 where all is good, 1 where not, 2 where it could not be read."""
    path, option, head, *more = [*arguments, "", "", ""][: max(3, len(arguments))]
    if not path or path in ("-h", "--help") or option not in ("", "--head") or (option and not head) or any(more):
        sys.stderr.write("usage: python3 verify.py PACK.zip [--head NUMBER:HASH]\n")
        return 2
    try:
        told = parse_head(head) if option else None
        with open(path, "rb") as file:  # noqa: PTH123 - one file, nothing but the standard library
            data = file.read()
    except (OSError, ValueError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    wrong, checked = check_pack(data, told)
    for line in wrong:
        sys.stdout.write(f"BAD: {line}\n")
    if wrong or checked is None:
        return 1
    if checked.head is None:
        sys.stdout.write("good, and empty: it holds no record\n")
        return 0
    first = checked.head.sequence - checked.records + 1
    times = sorted(str(record.get("collected_at", "")) for record in read_pack(data))
    sys.stdout.write(f"good: records {first} to {checked.head.sequence}, the last is {checked.head}\n")
    sys.stdout.write(f"they were collected from {times[0]} to {times[-1]}\n")
    if checked.withheld:
        sys.stdout.write(f"{checked.withheld} of them are of other platforms: chained, their content left out\n")
    for note in checked.notes:
        sys.stdout.write(f"note: {note}\n")
    if told is None:
        sys.stdout.write("what was cut off at the end cannot be told without --head, which was told in Slack\n")
    sys.stdout.write(f"sha256 of the pack: {hashlib.sha256(data).hexdigest()}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

"""A multipart upload holds a bounded part of its blob, however large that is, and sends each byte once and in order."""

import hashlib
import io
import threading

import pytest
from botocore.exceptions import ConnectTimeoutError

from tasks.clients import blobs_s3
from tasks.clients.blobs_s3 import S3Store

KIBI = 1 << 10
SIZES = [8, 8, 8, 16, 16, 32, 32, 32, 64, 64, 64, 64]


class Bucket:
    """Takes the parts of one upload, and notes how much of them is in flight at once."""

    def __init__(self, refuses=()):
        self.parts, self.blobs, self.most, self.aborted = {}, {}, 0, False
        self._flying, self._lock, self._refuses = 0, threading.Lock(), list(refuses)

    def put_object(self, Key, Body, **_place):  # noqa: N803 - boto3's names
        self.blobs[Key] = bytes(Body)

    def create_multipart_upload(self, **_place):
        return {"UploadId": "1"}

    def abort_multipart_upload(self, **_place):
        self.aborted = True

    def upload_part(self, PartNumber, Body, **_place):  # noqa: N803
        start = Body.tell()
        size = Body.seek(0, io.SEEK_END) - start
        Body.seek(start)
        with self._lock:
            self._flying += size
            self.most = max(self.most, self._flying)
        data = b"".join(iter(lambda: Body.read(KIBI), b""))
        Body.seek(start)
        assert b"".join(iter(lambda: Body.read(KIBI), b"")) == data
        assert len(data) == size
        with self._lock:
            self._flying -= size
            if PartNumber in self._refuses:
                self._refuses.remove(PartNumber)
                raise ConnectTimeoutError(endpoint_url="http://store")
        self.parts[PartNumber] = data
        return {"ETag": hashlib.sha256(data).hexdigest()}

    def complete_multipart_upload(self, Key, MultipartUpload, **_place):  # noqa: N803
        told = MultipartUpload["Parts"]
        assert [part["PartNumber"] for part in told] == sorted(self.parts)
        self.blobs[Key] = b"".join(self.parts[part["PartNumber"]] for part in told)


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(blobs_s3, "_GROWTH", ((3, 8 * KIBI), (5, 16 * KIBI), (8, 32 * KIBI), (12, 64 * KIBI)))
    monkeypatch.setattr(blobs_s3, "_MEMORY", 64 * KIBI)
    monkeypatch.setattr(blobs_s3, "_PIECE", 3 * KIBI)
    monkeypatch.setattr(blobs_s3, "_PAUSES", (0.0, 0.0))


@pytest.mark.parametrize("size", [0, 1, 8 * KIBI - 1, 8 * KIBI, 8 * KIBI + 1, 56 * KIBI, 300 * KIBI])
@pytest.mark.parametrize("piece", [7, 499, 500, 3000, 100_000])
def test_what_was_written_in_pieces_of_any_size_is_stored_in_order(size, piece):
    bucket = Bucket()
    data = b"".join(number.to_bytes(4, "big") for number in range(size // 4 + 1))[:size]
    with S3Store(bucket, "b").writing("k") as writer:
        for start in range(0, size, piece):
            writer.write(data[start : start + piece])
    assert bucket.blobs == {"k": data}
    assert [len(bucket.parts[number]) // KIBI for number in sorted(bucket.parts)[:-1]] == (
        SIZES[: max(len(bucket.parts) - 1, 0)]
    )


def test_what_is_in_flight_and_what_is_filled_stay_within_the_memory_as_parts_grow():
    bucket = Bucket()
    upload = blobs_s3._Upload(bucket, {"Bucket": "b", "Key": "k"}, {}, "write")
    most = 0
    for _ in range(400):
        upload.write(bytes(KIBI))
        kept = [upload._part, *upload._spare, *(part for part, _ in upload._flying)]
        most = max(most, sum(map(len, kept)))
    upload.complete()
    upload.close()
    assert 48 * KIBI <= most <= 64 * KIBI
    assert bucket.most <= 64 * KIBI


def test_a_part_that_is_tried_again_is_sent_from_its_beginning():
    bucket = Bucket(refuses=[2, 2, 4])
    data = bytes(range(256)) * 200
    with S3Store(bucket, "b").writing("k") as writer:
        writer.write(data)
    assert bucket.blobs == {"k": data}


def test_what_the_writer_changes_after_it_was_taken_is_stored_as_it_was():
    bucket = Bucket()
    data = bytearray(b"x" * 5000)
    with S3Store(bucket, "b").writing("k") as writer:
        writer.write(data)
        data[:] = b"y" * 5000
    assert bucket.blobs == {"k": b"x" * 5000}

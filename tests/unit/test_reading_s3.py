"""A blob is read span by span, of one and the same blob, from stores that know spans and from those that do not."""

import io

import pytest
from botocore.exceptions import ClientError

from tasks.clients import blobs_s3
from tasks.clients.blobs_s3 import S3Store
from tasks.core.errors import Garbled, WatchkeeperError

DATA = bytes(range(250)) * 40


def refused(code, status):
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "GetObject")


class Bucket:
    """Answers GetObject as S3 documents it; `sends` makes of each answer what another store would send."""

    def __init__(self, data=DATA, sends=lambda answer, _: answer):
        self.data, self.sends, self.asked = data, sends, []

    def get_object(self, Range, IfMatch="1", **_place):  # noqa: N803 - boto3's names
        first, last = (int(one) for one in Range.removeprefix("bytes=").split("-"))
        self.asked.append((first, last))
        if IfMatch != "1":
            raise refused("PreconditionFailed", 412)
        if first >= len(self.data):
            raise refused("InvalidRange", 416)
        part = self.data[first : last + 1]
        answer = {
            "Body": io.BytesIO(part),
            "ContentLength": len(part),
            "ContentRange": f"bytes {first}-{first + len(part) - 1}/{len(self.data)}",
            "ETag": "1",
        }
        return self.sends(answer, len(self.asked))


@pytest.fixture(autouse=True)
def small_spans(monkeypatch):
    monkeypatch.setattr(blobs_s3, "_SPAN", 4000)


def read(bucket, start=0):
    return b"".join(S3Store(bucket, "bucket", "").reading("blob", start))


@pytest.mark.parametrize("size", [0, 1, 3999, 4000, 4001, 10_000])
@pytest.mark.parametrize("start", [0, 1])
def test_each_byte_comes_once_and_no_span_is_asked_for_in_vain(size, start):
    bucket = Bucket(DATA[:size])
    if start < max(size, 1):
        assert read(bucket, start) == DATA[start:size]
        assert bucket.asked == [(at, at + 3999) for at in range(start, max(size, 1), 4000)]


def test_a_store_that_knows_no_spans_sends_the_whole_at_once():
    def whole(_, __):
        return {"Body": io.BytesIO(DATA), "ContentLength": len(DATA), "ETag": "1"}

    assert read(Bucket(sends=whole)) == DATA
    with pytest.raises(Garbled, match="whole"):
        read(Bucket(sends=whole), 5)


def test_another_blob_in_the_middle_is_refused_and_never_joined_to_the_first():
    def other(answer, number):
        return answer | {"ETag": str(number + 1)}

    with pytest.raises(WatchkeeperError):
        read(Bucket(sends=other))


def test_a_store_that_sends_nothing_of_what_is_there_is_told_and_not_asked_forever():
    def nothing(answer, _):
        return answer | {"Body": io.BytesIO(), "ContentLength": 0}

    with pytest.raises(Garbled, match="nothing"):
        read(Bucket(sends=nothing))

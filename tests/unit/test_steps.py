"""Steps and packages: what is filled in, what is counted, and what is no sound package."""

import hashlib
import io
import json
import tarfile
import zipfile
from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from tasks.core.packages import opened
from tasks.core.steps import Step, filling, holding, rows_of

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


def test_what_is_filled_in_holds_no_quote_and_is_the_same_for_the_same_canary():
    values = filling("wkcanary1", NOW)
    assert values == filling("wkcanary1", NOW)
    assert not any(mark in text for text in values.values() for mark in "'\"\\;")
    step = Step(system="api", call="POST /x?c={canary}", body={"{canary}": ["{uuid}", 7], "to": "{today}"})
    filled = step.filled(values)
    assert filled.call == "POST /x?c=wkcanary1"
    assert filled.body == {"wkcanary1": [values["uuid"], 7], "to": "2026-01-31"}
    assert values["month_ago"] == "2025-12-31"


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"system": "a"},
        {"system": "a", "call": "x", "command": ["x"]},
        {"call": "x"},
        {"file": "f", "command": ["x"]},
    ],
)
def test_a_step_is_of_exactly_one_sort(wrong):
    with pytest.raises(ValidationError, match="name a system with a call, a command, or a file"):
        Step.model_validate(wrong)


def test_a_canary_is_counted_by_entries_of_a_list_and_places_in_a_text():
    assert holding("canary", [b'{"key": "canary canary"}', b"other"]) == 1
    assert holding("canary", b"canary and canary") == 2
    assert holding("canary", None or b"") == 0


@pytest.mark.parametrize(
    ("body", "rows"),
    [
        (b'[{"id": 1}, 2]', [{"id": 1}]),
        (b'{"id": 1}', [{"id": 1}]),
        (b'{"id": 1}\n{"id": 2}\n', [{"id": 1}, {"id": 2}]),
        (b"id,ended\n1,now\n", [{"id": "1", "ended": "now"}]),
        (b"PK\x03\x04\xaa\xff", []),
        (b"plain words", []),
    ],
)
def test_rows_are_read_of_json_of_lines_of_it_and_of_tables(body, rows):
    assert list(rows_of(body)) == rows


def packed(**files):
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name.replace("__", ".")), data)
    return held.getvalue()


def tarred(name, data):
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w:gz") as archive:
        one = tarfile.TarInfo(name)
        one.size = len(data)
        archive.addfile(one, io.BytesIO(data))
    return held.getvalue()


def manifest(data):
    return json.dumps({"sha256": {"logs.ndjson": hashlib.sha256(data).hexdigest()}})


LOGS = b'{"a": 1}\n{"a": 2}\n'


@pytest.mark.parametrize(
    ("body", "entries", "count", "files", "trouble"),
    [
        (b'{"logs": [1, 2, 3]}', "logs", 3, 1, ""),
        (b'{"entries": 5}', "entries", 5, 1, ""),
        (b'{"logs": []}', "rows", 0, 1, "it cannot be opened: LookupError"),
        (b"id,at\n1,x\n2,y\n", "", 2, 1, ""),
        (packed(logs__ndjson=LOGS, manifest__json=manifest(LOGS)), "", 2, 2, ""),
        (packed(logs__ndjson=LOGS + LOGS, manifest__json=manifest(LOGS)), "", 4, 2, "logs.ndjson is not the file"),
        (packed(other__ndjson=LOGS, manifest__json=manifest(LOGS)), "", 2, 2, "logs.ndjson is missing"),
        (tarred("case/logs.jsonl", LOGS), "", 2, 1, ""),
        pytest.param(packed(logs__ndjson=LOGS)[:60], "", 0, 0, "it cannot be opened", id="cut"),
        (packed(logs__ndjson=b"{broken"), "", 0, 1, "it cannot be opened"),
    ],
)
def test_a_package_is_opened_counted_and_held_against_its_own_hashes(body, entries, count, files, trouble):
    found = opened(body, entries)
    assert (found.entries, found.files) == (count, files)
    assert found.trouble.startswith(trouble) if trouble else found.trouble == ""
    assert (found.size, found.sha256) == (len(body), hashlib.sha256(body).hexdigest())

"""The ledger of evidence: only added to, by many at once, and the first record that was tampered with is named."""

import csv
import gzip
import io
import json
import random
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from deployments.cli import main
from tasks.clients.blobs import FolderStore, MemoryStore
from tasks.clients.ledger import Ledger
from tasks.core import evidence
from tasks.core.errors import ConfigError, PermanentError, TransientError
from tasks.core.evidence import GENESIS, Head, canonical, check, digest, parse_head, seal
from tasks.reports import evidence_tables, slack


def chain(length, begin=None, word="fact"):
    found, head = [], begin
    for number in range(length):
        head, data = seal({"word": word, "number": number}, head)
        found.append((head.sequence, data))
    return found, head


def resealed(data, **changed):
    document = json.loads(data) | changed
    document["sha256"] = digest(document)
    return canonical(document)


def replaced(records, sequence, data):
    return [(number, data if number == sequence else held) for number, held in records]


def bad(records, told=None, start=1):
    fault = check(records, told, start).fault
    return None if fault is None else fault.sequence


def test_a_chain_that_nobody_touched_is_good_and_tells_where_it_ends():
    records, head = chain(7)
    assert check(records, head)[:3] == (7, head, None)
    assert json.loads(records[0][1])["previous"] == GENESIS
    assert check([])[:3] == (0, None, None)


@pytest.mark.parametrize("sequence", [1, 4, 7])
def test_any_changed_byte_of_any_record_is_named(sequence):
    records, head = chain(7)
    data = dict(records)[sequence]
    for at in range(len(data)):
        changed = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        assert bad(replaced(records, sequence, changed), head) == sequence
    assert bad(replaced(records, sequence, data + b" "), head) == sequence
    assert bad(replaced(records, sequence, b""), head) == sequence


@pytest.mark.parametrize("sequence", [1, 2, 4, 6])
def test_a_record_that_was_changed_and_sealed_anew_is_named_and_not_its_neighbour(sequence):
    records, head = chain(7)
    forged = resealed(dict(records)[sequence], word="lie")
    assert bad(replaced(records, sequence, forged), head) == sequence
    assert bad(replaced(records, sequence, forged)) == sequence


def test_a_record_of_another_ledger_is_named():
    records, head = chain(7)
    other, _ = chain(7, word="other")
    assert bad(replaced(records, 4, dict(other)[4]), head) == 4
    assert bad(replaced(records, 7, dict(other)[7]), head) == 7
    assert bad(records[:3] + other[3:], head) in (3, 4)


def test_removed_reordered_and_doubled_records_are_named():
    records, head = chain(7)
    assert bad(records[:2] + records[3:], head) == 3
    assert bad(records[1:], head) == 1
    swapped = [*records[:2], (3, records[3][1]), (4, records[2][1]), *records[4:]]
    assert bad(swapped, head) == 3
    assert bad([*records[:3], records[2], *records[3:]], head) == 3
    moved = resealed(records[1][1], sequence=3)
    assert bad(replaced(records, 3, moved), head) == 3


def test_a_cut_off_end_is_named_by_the_head_that_was_told_outside():
    records, head = chain(7)
    assert bad(records[:4]) is None
    assert bad(records[:4], head) == 5
    assert bad([], head) == 1
    assert bad(records, Head(3, json.loads(records[2][1])["sha256"][:16])) is None
    assert bad(chain(7, word="all made anew")[0], head) == 7


def test_a_part_of_a_chain_is_checked_from_where_it_begins():
    records, head = chain(7)
    assert check(records[3:], head, start=4)[:3] == (4, head, None)
    assert bad(records[4:], head, start=4) == 4


@pytest.mark.parametrize("text", ["", "7", "x:0123456789ab", "7:012", "7:0123456789ag", "-7:0123456789ab"])
def test_a_head_that_is_none_is_refused(text):
    with pytest.raises(ValueError, match="no head"):
        parse_head(text)


def test_letters_of_every_script_and_half_pairs_are_kept_as_they_are():
    records, head = [], None
    for word in ("größer ☂ 😀", "\ud800", "a\u2028b"):
        head, data = seal({"word": word}, head)
        records.append((head.sequence, data))
    assert check(records, head).fault is None


@pytest.fixture(params=["folder", "memory"])
def store(request, tmp_path):
    return FolderStore(tmp_path / "ledger") if request.param == "folder" else MemoryStore()


def test_what_is_added_is_there_and_the_chain_goes_on_after_a_restart(store):
    assert Ledger(store).head() is None
    first = Ledger(store).append({"n": 1})
    second = Ledger(store).append({"n": 2})
    assert (first.sequence, second.sequence) == (1, 2)
    assert Ledger(store).head() == second
    assert Ledger(store).verify(second)[:3] == (2, second, None)


def test_many_writers_at_once_make_one_chain(tmp_path):
    def write():
        ledger = Ledger(FolderStore(tmp_path))
        for number in range(10):
            ledger.append({"n": number})

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    found = Ledger(FolderStore(tmp_path)).verify()
    assert (found.records, found.fault) == (40, None)


class Failing(MemoryStore):
    """Fails where it is told to."""

    def __init__(self):
        super().__init__()
        self.fails = ""

    def put(self, key, data):
        if key == self.fails:
            raise PermanentError("no")
        super().put(key, data)


def test_a_store_that_fails_between_record_and_head_loses_nothing():
    store = Failing()
    Ledger(store).append({"n": 1})
    store.fails = "head.json"
    second = Ledger(store).append({"n": 2})
    store.fails = ""
    third = Ledger(store).append({"n": 3})
    assert (second.sequence, third.sequence) == (2, 3)
    assert Ledger(store).verify(third).fault is None


def test_an_end_that_was_cut_off_is_told_and_the_next_record_leaves_the_gap_open():
    store = MemoryStore()
    ledger = Ledger(store)
    for number in range(5):
        ledger.append({"n": number})
    newest = store.list("records/")[-1]
    store.delete(newest)
    assert Ledger(store).verify().fault.sequence == 5
    assert Ledger(store).append({"n": 9}).sequence == 6
    assert Ledger(store).verify().fault.sequence == 5


def test_a_ledger_where_another_is_always_quicker_gives_up_with_a_cure():
    class Occupied(MemoryStore):
        def put_if_absent(self, key, data):
            super().put_if_absent(key, data.replace(b'"n":1', b'"n":2'))
            return False

    with pytest.raises(TransientError, match="at the same time"):
        Ledger(Occupied()).append({"n": 1})


class Counting(MemoryStore):
    """Counts what it is asked, and changes what others are told of a key."""

    def __init__(self):
        super().__init__()
        self.asked = []

    def get(self, key):
        self.asked.append(key)
        return super().get(key)

    def sums(self, prefix=""):
        self.asked.append(prefix)
        return super().sums(prefix)


def large(records=205):
    """Return a ledger in folders of ten records, of which all but the last were gathered."""
    store = Counting()
    ledger = Ledger(store, folder=10)
    for number in range(records):
        ledger.append({"n": number})
    store.asked.clear()
    return store


def test_a_large_ledger_is_verified_in_few_requests():
    store = large()
    assert Ledger(store, folder=10).verify().records == 205
    assert len(store.list("segments/")) == 20
    assert len(store.asked) <= 1 + 2 * 20 + 1 + 6


def test_a_segment_hides_nothing_and_proves_nothing():
    key, segment = "records/0000003/0000000033.json", "segments/0000003.jsonl.gz"

    def first_bad(change):
        store = large()
        change(store)
        fault = Ledger(store, folder=10).verify().fault
        return fault.sequence if fault else None

    def tamper(store):
        store.put(key, store.get(key).replace(b'"n":32', b'"n":99'))

    def forge(store):
        lines = gzip.decompress(store.get(segment)).replace(b'"n":32', b'"n":99')
        store.put(segment, gzip.compress(lines))

    def both(store):
        forge(store)
        tamper(store)

    assert first_bad(tamper) == 33
    assert first_bad(both) == 33
    assert first_bad(forge) is None
    assert first_bad(lambda store: store.delete(key)) == 33
    assert first_bad(lambda store: store.put(segment, b"no gzip")) is None
    assert first_bad(lambda store: store.delete(segment)) is None
    assert first_bad(lambda store: store.put(segment, gzip.compress(b"one\n" * 10))) is None


def test_a_folder_that_was_tampered_with_is_not_gathered_and_one_that_was_missed_is_gathered_later():
    store = MemoryStore()
    ledger = Ledger(store, folder=10)
    for number in range(19):
        ledger.append({"n": number})
    key = "records/0000001/0000000013.json"
    good = store.get(key)
    store.put(key, good.replace(b'"n":12', b'"n":99'))
    ledger.append({"n": 19})
    assert [name[-16:] for name in store.list("segments/")] == ["0000000.jsonl.gz"]
    store.put(key, good)
    for number in range(10):
        ledger.append({"n": number})
    assert len(store.list("segments/")) == 3


def test_a_record_whose_answer_was_lost_is_not_written_twice():
    class Lossy(MemoryStore):
        def put_if_absent(self, key, data):
            return super().put_if_absent(key, data) and not key.endswith("2.json")

    store = Lossy()
    ledger = Ledger(store)
    assert [ledger.append({"n": 1}).sequence for _ in range(3)] == [1, 2, 3]
    assert Ledger(store).verify().records == 3


def test_a_store_that_writes_over_what_is_there_is_refused():
    class Overwriting(MemoryStore):
        def put_if_absent(self, key, data):
            self.put(key, data)
            return True

    with pytest.raises(ConfigError, match="writes over what is there"):
        Ledger(Overwriting()).append({"n": 1})


def test_two_ledgers_of_a_split_are_told_apart_by_what_either_told():
    store = MemoryStore()
    ledger = Ledger(store)
    for number in range(3):
        ledger.append({"n": number})
    other = MemoryStore()
    for key in store.list():
        other.put(key, store.get(key))
    ours = [ledger.append({"n": "ours"}) for _ in range(2)]
    theirs = [Ledger(other).append({"n": "theirs"}) for _ in range(4)]
    assert Ledger(store).verify(ours).fault is None
    assert Ledger(store).verify([*ours, theirs[0]]).fault.sequence == 4
    assert Ledger(other).verify([ours[0], theirs[-1]]).fault.sequence == 4
    assert "split" in Ledger(other).verify([ours[0], theirs[-1]]).fault.what


def test_a_clock_that_goes_back_is_noted_and_breaks_nothing():
    times = ["2026-11-01T09:00:00Z", "2027-11-01T09:00:00Z", "2026-11-01T09:05:00Z", "2026-11-01T09:04:00Z", "odd"]
    records, head = [], None
    for at in times:
        head, data = seal({"collected_at": at}, head)
        records.append((head.sequence, data))
    found = check(records, head)
    assert found.fault is None
    assert found.notes == ("record 3 was collected 364 days, 23:55:00 before one that precedes it: a clock was wrong",)


def test_the_content_of_a_record_may_be_withheld_and_not_changed():
    records, head = chain(5)
    hidden = [(number, evidence.withhold(data) if number != 3 else data) for number, data in records]
    assert check(hidden, head, withheld=True)[:3] == (5, head, None)
    assert check(hidden, head, withheld=True).withheld == 4
    assert check(hidden, head).fault == (1, "its content was removed")
    assert b"fact" not in hidden[0][1]
    forged = json.loads(records[2][1]) | {"word": "lie"}
    assert bad(replaced(records, 3, canonical(forged)), head) == 3
    forged["content_sha256"] = evidence.content_digest(forged)
    assert bad(replaced(records, 3, canonical(forged)), head) == 3


def test_records_of_the_first_format_still_hold():
    document = {"n": 1, "sequence": 1, "previous": GENESIS, "format": 1}
    first = canonical(document | {"sha256": digest(document)})
    head, second = seal({"n": 2}, Head(1, json.loads(first)["sha256"]))
    assert check([(1, first), (2, second)], head).fault is None
    assert bad([(1, first.replace(b'"n":1', b'"n":3')), (2, second)]) == 1


def test_the_numbers_go_over_the_bounds_of_folders(tmp_path):
    store = FolderStore(tmp_path)
    records, head = chain(1005)
    for sequence, data in records:
        path = tmp_path / f"records/{sequence // 1000:07}/{sequence:010}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    assert Ledger(store).head() == head
    assert Ledger(store).append({"n": 0}).sequence == 1006
    assert Ledger(store).verify().records == 1006


def body(at, **more):
    findings = [{"measurement": "latency", "subject": "/", "outcome": "failed", "note": "=cmd()", "observed": "9 s"}]
    facts = {"systems": [{"name": "api", "findings": findings}]}
    known = {"collected_at": at, "platform": "shop", "flow": "health-check", "verdict": "failed", "facts": facts}
    return known | {"said": "Shop: failed <script>", "by": "user ops"} | more


@pytest.fixture
def state(tmp_path):
    ledger = Ledger(FolderStore(tmp_path / "evidence"))
    for at in ("2026-10-31T09:00:00Z", "2026-11-01T09:00:00Z", "2026-11-20T09:00:00Z", "2026-12-01T09:00:00Z"):
        ledger.append(body(at))
    return tmp_path


def run(*arguments):
    result = CliRunner().invoke(main, ["evidence", *map(str, arguments), "--json"])
    return result.exit_code, json.loads(result.output)


def test_the_command_names_the_first_bad_record(state):
    code, found = run("verify", "--state", state)
    assert (code, found["good"], found["records"]) == (0, True, 4)
    head = found["head"]
    assert run("verify", "--state", state, "--head", head)[0] == 0
    path = state / "evidence/records/0000000/0000000003.json"
    path.write_bytes(path.read_bytes().replace(b"failed", b"passed"))
    code, found = run("verify", "--state", state, "--head", head)
    assert (code, found["first_bad"]["record"], found["records"]) == (1, 3, 2)
    assert run("verify", "--state", state, "--head", "nonsense")[0] == 2
    code, found = run("pack", "--state", state, "--month", "2026-11", "--output", state / "x.zip")
    assert code == 2
    assert "record 3" in found["error"]
    assert not (state / "x.zip").exists()


@pytest.fixture
def packed(state):
    code, found = run("pack", "--state", state, "--month", "2026-11", "--output", state / "pack.zip")
    assert code == 0
    return found


def verifier(folder, *arguments):
    with zipfile.ZipFile(folder / "pack.zip") as archive:
        (folder / "verify.py").write_bytes(archive.read("verify.py"))
    words = [sys.executable, "-I", "-S", str(folder / "verify.py"), *map(str, arguments)]
    done = subprocess.run(words, check=False, capture_output=True, text=True, cwd=folder)  # noqa: S603 - ours
    return done.returncode, done.stdout + done.stderr


def test_a_pack_holds_its_month_and_is_verified_offline_by_the_program_in_it(state, packed):
    assert packed["records"] == 2
    assert verifier(state, "pack.zip", "--head", packed["head"])[0] == 0
    code, told = verifier(state, "pack.zip")
    assert (code, "records 2 to 3" in told, packed["sha256"] in told) == (0, True, True)
    assert verifier(state, "pack.zip", "--head", "4:" + "0" * 64)[0] == 1
    assert verifier(state, "nothing.zip")[0] == 2
    assert verifier(state)[0] == 2


def test_a_pack_that_is_handed_in_again_is_told_by_its_times_and_by_the_head_of_this_month(state, packed):
    code, told = verifier(state, "pack.zip", "--head", packed["head"])
    assert (code, "from 2026-11-01T09:00:00Z to 2026-11-20T09:00:00Z" in told) == (0, True)
    december = str(Ledger(FolderStore(state / "evidence")).head())
    code, told = verifier(state, "pack.zip", "--head", december)
    assert (code, "record 4: it is missing: record 4 was told outside" in told) == (1, True)


def test_a_pack_reads_well_and_its_tables_run_no_formula(packed):
    with zipfile.ZipFile(packed["file"]) as archive:
        page = archive.read("index.html").decode()
        rows = list(csv.DictReader(io.StringIO(archive.read("evidence.csv").decode())))
        items = list(csv.DictReader(io.StringIO(archive.read("items.csv").decode())))
    assert "Evidence of November 2026" in page
    assert "<script>" not in page
    assert [row["sequence"] for row in rows] == ["2", "3"]
    assert (items[0]["system"], items[0]["item"], items[0]["note"]) == ("api", "latency", "'=cmd()")


def test_any_changed_byte_of_a_pack_is_seen(packed):
    data = Path(packed["file"]).read_bytes()
    assert evidence.check_pack(data)[0] == []
    chance = random.Random(7)  # noqa: S311 - no secret
    ends = [*range(60), *range(len(data) - 200, len(data))]
    for at in {*ends, *(chance.randrange(len(data)) for _ in range(300))}:
        changed = data[:at] + bytes([data[at] ^ (1 << chance.randrange(8))]) + data[at + 1 :]
        assert evidence.check_pack(changed)[0], f"byte {at}"
    assert evidence.check_pack(data + b"x")[0]
    assert evidence.check_pack(data[:-1])[0]


def test_a_pack_with_a_file_twice_is_none(packed):
    path = Path(packed["file"])
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("README.txt", b"read something else")
    assert evidence.check_pack(path.read_bytes())[0] == ["a file is in it twice"]


def test_a_pack_whose_manifest_was_made_anew_around_a_forged_record_is_seen(packed):
    with zipfile.ZipFile(packed["file"]) as archive:
        files = [(name, archive.read(name)) for name in archive.namelist() if name != evidence.MANIFEST]
    forged = [(name, data.replace(b"failed", b"passed") if "0000000002" in name else data) for name, data in files]
    into = io.BytesIO()
    evidence.pack(forged, into)
    assert evidence.check_pack(into.getvalue())[0] == ["record 2: it was changed: its hash is another"]
    fewer = io.BytesIO()
    evidence.pack([pair for pair in files if "0000000003" not in pair[0]], fewer)
    assert evidence.check_pack(fewer.getvalue(), parse_head(packed["head"]))[0]


def test_a_month_without_records_gives_an_empty_pack_and_no_month_is_refused(state):
    code, found = run("pack", "--state", state, "--month", "2025-01", "--output", state / "empty.zip")
    assert (code, found["records"], found["head"]) == (0, 0, None)
    assert evidence.check_pack((state / "empty.zip").read_bytes())[0] == []
    assert run("pack", "--state", state, "--month", "2025-01", "--output", state / "empty.zip")[0] == 2
    assert run("pack", "--state", state, "--month", "November")[0] == 2


def test_the_head_is_told_in_the_last_small_text_of_a_message():
    message = slack.SlackMessage(text="t", blocks=[slack.context("one"), slack.button("http://x")])
    assert slack.sealed(message, "") is message
    assert slack.sealed(message, "7:abc").blocks[0]["elements"][0]["text"] == "one · evidence 7:abc"
    bare = slack.SlackMessage(text="t", blocks=[])
    assert slack.sealed(bare, "7:abc").blocks == [slack.context("evidence 7:abc")]


def test_records_that_are_no_reports_make_no_items():
    assert evidence_tables.items([{"sequence": 1, "facts": None}, {"sequence": 2}]).count("\n") == 1

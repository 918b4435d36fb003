"""Real folders with all that lies in folders are archived, unpacked by hand and by program, and compared."""

import os
import socket
import stat
import subprocess
import tarfile
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from pydantic import ValidationError

from tasks.clients.secrets import SecretResolver
from tasks.core.backup import Order, Taken
from tasks.core.errors import ConfigError, Denied, Garbled, PermanentError, TransientError, Unreachable
from tasks.core.results import Outcome
from tasks.core.system import Access
from tasks.systems.files import backup as backing
from tasks.systems.files import restore as restoring
from tasks.systems.files import verify as verifying
from tasks.systems.files.index import ARCHIVE, INDEX
from tasks.systems.files.spec import Spec
from tasks.systems.files.walking import Walk, pattern
from tests.hostile import check, finding, measured
from tests.sinks import MemorySink, follow
from tests.sources import MemorySource, order

LONG = "n" * 250
RAW = os.fsdecode(b"caf\xe9.txt")  # no UTF-8


@pytest.fixture
def tree(tmp_path):
    """Make a folder with all that a folder may hold."""
    root = tmp_path / "live"
    (root / "config" / "keys").mkdir(parents=True)
    (root / "uploads" / LONG / LONG).mkdir(parents=True)
    (root / "empty").mkdir()
    (root / "config" / "app.yaml").write_text("a: 1\n")
    (root / "config" / "secret").write_text("s")
    (root / "config" / "secret").chmod(0o600)
    (root / "config" / "run.sh").write_text("#!/bin/sh\n")
    (root / "config" / "run.sh").chmod(0o755)
    (root / "config" / "current").symlink_to("app.yaml")
    (root / "config" / "outside").symlink_to("/etc")
    (root / "config" / "nowhere").symlink_to("../../gone")
    (root / "config" / "twin").hardlink_to(root / "config" / "app.yaml")
    (root / "uploads" / LONG / LONG / "ünï 🙂.txt").write_bytes(os.urandom(700_001))
    (root / "uploads" / RAW).write_text("raw")
    (root / "uploads" / "new\nline").write_text("odd")
    (root / "uploads" / "nothing").touch()
    (root / "uploads" / "draft.tmp").write_text("no")
    (root / "cache").mkdir()
    (root / "cache" / "x").write_text("no")
    os.utime(root / "config" / "app.yaml", ns=(1, 1_700_000_000_123_456_789))
    with (root / "uploads" / "sparse").open("wb") as file:
        file.write(b"begin")
        file.seek(3_000_000)
        file.write(b"middle")
        file.truncate(9_000_000)
    return root


def the_spec(root, **fields):
    return Spec(kind="files", root=str(root), **fields)


def the_access():
    return Access(resolver=SecretResolver({}), now=lambda: datetime.now(UTC))


def taken_from(root, sink=None, **fields):
    sink = sink or MemorySink()
    return backing.backup(the_spec(root, **fields), the_access(), sink, Order("archive")), sink


def content(root):
    """Describe everything below a folder."""
    found = {}
    for path in sorted(Path(root).rglob("*"), key=os.fsencode):
        status = path.lstat()
        kind = stat.S_IFMT(status.st_mode)
        inside = str(path.readlink()) if path.is_symlink() else path.read_bytes() if path.is_file() else ""
        mode = 0 if path.is_symlink() else status.st_mode
        time = 0 if path.is_symlink() else status.st_mtime_ns
        found[str(path.relative_to(root))] = (kind, mode, time, status.st_uid, status.st_nlink, inside)
    return found


def restored(tmp_path, source, root="/nowhere", **fields):
    with restoring.restore(the_spec(root), the_access(), source, order(tmp_path / "scratch", **fields)) as found:
        return found


def outcomes(assertions):
    return {assertion.name: assertion.outcome for assertion in assertions}


def test_everything_comes_back_by_hand_with_tar_alone(tree, tmp_path):
    taken, sink = taken_from(tree)
    text = backing.recovery(Taken.model_validate_json(taken.model_dump_json()), list(sink.parts))
    (tmp_path / "place").mkdir()
    environment = {"PATH": os.environ["PATH"], "TARGET": "unpacked", "PLACE": str(tmp_path / "place")}
    follow(text, sink, tmp_path, environment)
    assert content(tmp_path / "unpacked") == content(tree)
    assert content(tmp_path / "place") == content(tree)
    assert (tmp_path / "unpacked" / "uploads" / "sparse").stat().st_blocks * 512 < 1_000_000


def test_everything_comes_back_by_program_and_is_proven(tree, tmp_path):
    taken, sink = taken_from(tree)
    source = MemorySource(taken, sink)
    assert set(outcomes(verifying.parse(source)).values()) == {Outcome.PASSED}
    found = restored(tmp_path, source)
    assert content(found.address) == content(tree)
    assert found.counts == taken.counts
    assert (Path(found.address) / "uploads" / "sparse").stat().st_blocks * 512 < 1_000_000
    assert outcomes(verifying.compare(the_spec(tree), source, found)) == {
        "every file, folder and link is there as it was": Outcome.PASSED
    }
    assert "uploads/nothing" in list(verifying.paths(source))
    assert list(verifying.paths(source, ("config/*.sh",))) == ["config/run.sh"]


def test_python_reads_the_archive_too(tree):
    _, sink = taken_from(tree)
    with tarfile.open(fileobj=BytesIO(sink.parts[ARCHIVE])) as archive:
        assert archive.extractfile("uploads/sparse").read() == (tree / "uploads" / "sparse").read_bytes()


def test_what_is_excluded_is_counted_by_reason(tree):
    taken, sink = taken_from(tree, exclude=["*.tmp", "cache", "uploads/**/*.txt"])
    assert taken.details["excluded"] == {"*.tmp": 1, "cache": 1, "uploads/**/*.txt": 2}
    held = list(verifying.paths(MemorySource(taken, sink)))
    assert not [path for path in held if "tmp" in path or "cache" in path or path.endswith(".txt")]


@pytest.mark.parametrize(
    ("glob", "path", "fits"),
    [
        ("*.tmp", "a/b.tmp", True),
        ("*.tmp", "b.tmp", True),
        ("*.tmp", "b.tmp.gz", False),
        ("logs/*.gz", "logs/a.gz", True),
        ("logs/*.gz", "logs/old/a.gz", False),
        ("logs/*.gz", "x/logs/a.gz", False),
        ("logs/**", "logs/old/a.gz", True),
        ("**/old/*", "logs/old/a", True),
        ("**/old/*", "old/a", True),
        ("/top", "top", True),
        ("/top", "a/top", False),
        ("a?c", "abc", True),
        ("a?c", "a/c", False),
        ("[x]", "[x]", True),
    ],
)
def test_a_glob_fits_as_its_page_says(glob, path, fits):
    assert bool(pattern(glob).fullmatch(path)) is fits


def test_single_files_and_folders_of_a_root_are_enough_and_a_missing_one_is_told(tree):
    taken, sink = taken_from(tree, paths=["config/app.yaml", "empty", "gone/away", "config"])
    held = list(verifying.paths(MemorySource(taken, sink)))
    assert held == ["config/app.yaml", "config/run.sh", "config/secret", "config/twin"]
    assert taken.warnings == ("paths that are not there: gone/away",)
    assert taken.details["paths"] == ["config/app.yaml", "empty", "config"]


def test_paths_may_have_stars_that_stay_within_a_folder(tree):
    (tree / ".env").write_text("A=1")
    (tree / ".env.local").write_text("A=2")
    (tree / "config" / ".env.deep").write_text("A=3")
    paths = [".env*", ".env", "conf*/*.yaml", "conf*/ke*", "*/gone.txt"]
    taken, sink = taken_from(tree, paths=paths)
    assert list(verifying.paths(MemorySource(taken, sink))) == [".env", ".env.local", "config/app.yaml"]
    assert taken.counts["folders"] == 1
    assert taken.warnings == ("paths that are not there: */gone.txt",)


def test_an_empty_folder_is_a_backup_that_says_so(tmp_path):
    (tmp_path / "live").mkdir()
    taken, sink = taken_from(tmp_path / "live")
    assert taken.counts == {"files": 0, "folders": 0, "links": 0, "bytes": 0}
    assert taken.warnings == ("there is not a single file",)
    found = restored(tmp_path, MemorySource(taken, sink))
    assert content(found.address) == {}
    assert set(outcomes(verifying.parse(MemorySource(taken, sink))).values()) == {Outcome.PASSED}


def test_what_is_not_there_is_no_backup(tmp_path):
    with pytest.raises(Unreachable, match="cannot be opened"):
        taken_from(tmp_path / "gone")
    with pytest.raises(Unreachable, match="nothing of what"):
        taken_from(tmp_path, paths=["a", "b"])


def test_sockets_and_pipes_are_passed_over_and_told(tree):
    os.mkfifo(tree / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        here = Path.cwd()
        os.chdir(tree)
        try:
            listening.bind("socket")
        finally:
            os.chdir(here)
        taken, _ = taken_from(tree)
    assert taken.details["passed_over"] == {"pipes": 1, "sockets": 1}
    assert "1 pipes are passed over: pipe" in taken.warnings


@contextmanager
def as_nobody():
    """Lose root's rights for a while, where the test has them."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_tree():
    """A folder that everybody may enter, with a file and a folder that nobody may read."""
    with TemporaryDirectory() as name:
        made = Path(name)
        made.chmod(0o755)
        (made / "shut").mkdir()
        (made / "shut" / "x").write_text("x")
        (made / "private").write_text("p")
        (made / "public").write_text("q")
        (made / "public").chmod(0o644)
        (made / "private").chmod(0)
        (made / "shut").chmod(0)
        yield made
        (made / "shut").chmod(0o755)


async def test_what_may_not_be_read_is_told_counted_and_seen_before(open_tree):
    with as_nobody():
        taken, sink = taken_from(open_tree)
        report = await check({"kind": "files", "root": str(open_tree)})
    assert taken.details["unreadable"] == 2
    assert any("2 could not be read: private (Permission denied), shut" in warning for warning in taken.warnings)
    assert list(verifying.paths(MemorySource(taken, sink))) == ["public"]
    assert finding(report, "unreadable").outcome is Outcome.WARNED
    assert measured(report, "unreadable").note == "private, shut"


def test_where_nothing_may_be_read_there_is_no_backup(open_tree):
    (open_tree / "public").unlink()
    with as_nobody(), pytest.raises(Denied, match="nothing of it may be read"):
        taken_from(open_tree)


class Meddling(MemorySink):
    """Changes a file when its first bytes come by."""

    def __init__(self, change):
        super().__init__()
        self._change = change

    def progress(self, done, total=None):
        super().progress(done, total)
        if self._change is not None:
            change, self._change = self._change, None
            change()


@pytest.mark.parametrize(
    ("change", "note"),
    [
        (lambda path: os.truncate(path, 300_000), "it shrank: zeros from byte 300000 on"),
        (lambda path: os.truncate(path, 2_000_000), "it grew"),
        (lambda path: os.utime(path, (1, 1)), "it was written to"),
    ],
)
def test_a_file_that_changes_while_it_is_read_is_whole_in_the_archive_and_told(tmp_path, change, note):
    root = tmp_path / "live"
    root.mkdir()
    (root / "growing.log").write_bytes(os.urandom(1_000_000))
    (root / "next").write_text("n")
    sink = Meddling(lambda: change(root / "growing.log"))
    taken, sink = taken_from(root, sink)
    assert any(note in warning for warning in taken.warnings)
    assert taken.details["changed_meanwhile"] == 1
    source = MemorySource(taken, sink)
    assert set(outcomes(verifying.parse(source)).values()) == {Outcome.PASSED}
    assert (Path(restored(tmp_path, source).address) / "growing.log").stat().st_size == 1_000_000


def test_a_folder_deeper_than_any_path_may_be_long_is_read(tmp_path):
    root = tmp_path / "live"
    root.mkdir()
    folder = os.open(root, os.O_RDONLY)
    for _ in range(25):
        os.mkdir(LONG, dir_fd=folder)
        inner = os.open(LONG, os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = inner
    with os.fdopen(os.open("deep", os.O_WRONLY | os.O_CREAT, dir_fd=folder), "wb") as file:
        file.write(b"deep down")
    os.close(folder)
    taken, sink = taken_from(root)
    assert taken.counts["files"] == 1
    assert len(next(iter(verifying.paths(MemorySource(taken, sink))))) > 6000
    subprocess.run(["/bin/rm", "-rf", str(root)], check=True)  # noqa: S603 - shutil cannot remove what is so deep


def test_a_loop_of_links_ends(tmp_path):
    root = tmp_path / "live"
    root.mkdir()
    (root / "loop").symlink_to(".")
    assert [found.path for found in Walk(str(root), ["."])] == ["loop"]


def test_a_store_that_fails_ends_the_backup(tree):
    with pytest.raises(TransientError, match="the store is full"):
        taken_from(tree, MemorySink(fails_after=200_000))


def test_a_place_that_is_not_empty_or_is_the_live_one_is_refused(tree, tmp_path):
    taken, sink = taken_from(tree)
    source = MemorySource(taken, sink)
    with pytest.raises(ConfigError, match="not empty"):
        restored(tmp_path, source, into=str(tree))
    for place in (tree, tree / "config" / "..", tree / "empty", tree.parent):
        with pytest.raises(ConfigError, match="live folder"):
            restored(tmp_path, source, root=tree, into=str(place))
    (tmp_path / "other").symlink_to(tree)
    with pytest.raises(ConfigError, match="live folder"):
        restored(tmp_path, source, root=tree, into=str(tmp_path / "other"))
    assert content(tmp_path / "scratch") == {}


def test_only_what_was_asked_for_comes_back(tree, tmp_path):
    taken, sink = taken_from(tree)
    found = restored(tmp_path, MemorySource(taken, sink), only=("config/app.yaml", "empty/", "*.sh"))
    assert set(content(found.address)) == {"config", "config/app.yaml", "config/run.sh", "empty"}
    with pytest.raises(ConfigError, match="nothing of gone"):
        restored(tmp_path / "again", MemorySource(taken, sink), only=("gone",))


def archive(*members):
    """Write an archive by hand, as somebody with bad intentions might."""
    buffer = BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, type_, target, data in members:
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.size = type_, target, len(data)
            tar.addfile(info, BytesIO(data))
    sink = MemorySink()
    sink.parts = {ARCHIVE: buffer.getvalue(), INDEX: b""}
    return MemorySource(Taken(method="archive", consistent_as_of=datetime.now(UTC)), sink)


@pytest.mark.parametrize(
    "members",
    [
        [("../evil", tarfile.REGTYPE, "", b"x")],
        [("a/../../evil", tarfile.REGTYPE, "", b"x")],
        [("/evil", tarfile.REGTYPE, "", b"x")],
        [("up", tarfile.SYMTYPE, "..", b""), ("up/evil", tarfile.REGTYPE, "", b"x")],
        [("link", tarfile.LNKTYPE, "../../evil", b"")],
        [("device", tarfile.CHRTYPE, "", b"")],
        [("twice", tarfile.REGTYPE, "", b"x"), ("twice", tarfile.REGTYPE, "", b"y")],
    ],
)
def test_an_archive_that_would_write_elsewhere_is_refused(tmp_path, members):
    (tmp_path / "evil").write_text("untouched")
    with pytest.raises(PermanentError, match=r"leads out|neither file|exists|directory"):
        restored(tmp_path, archive(*members))
    assert (tmp_path / "evil").read_text() == "untouched"
    assert not Path("/evil").exists()
    assert not (tmp_path / "scratch" / "evil").exists()


@pytest.mark.parametrize("damage", ["cut", "cut at a member", "flipped", "empty", "nonsense", "index"])
def test_a_damaged_archive_is_red(tree, tmp_path, damage):
    taken, sink = taken_from(tree)
    data = bytearray(sink.parts[ARCHIVE])
    match damage:
        case "cut":
            data = data[: len(data) // 2]
        case "cut at a member":
            data = data[:-1024]
        case "flipped":
            at = data.index(b"a: 1\n")
            data[at] ^= 1
        case "empty":
            data = bytearray()
        case "nonsense":
            data = bytearray(os.urandom(5000))
        case "index":
            sink.parts[INDEX] = sink.parts[INDEX].replace(b'"config/app.yaml"', b'"config/other.yml"', 1)
    sink.parts[ARCHIVE] = bytes(data)
    source = MemorySource(taken, sink)
    assert Outcome.FAILED in outcomes(verifying.parse(source)).values()
    if damage not in ("flipped", "index"):
        with pytest.raises(Garbled):
            restored(tmp_path, source)


def test_a_copy_that_differs_in_anything_is_red(tree, tmp_path):
    taken, sink = taken_from(tree)
    source = MemorySource(taken, sink)
    found = restored(tmp_path, source)
    place = Path(found.address)
    (place / "config" / "app.yaml").write_text("a: 2\n")
    (place / "config" / "current").unlink()
    (place / "config" / "secret").chmod(0o644)
    (place / "empty").rmdir()
    (assertion,) = verifying.compare(the_spec(tree), source, found)
    assert assertion.outcome is Outcome.FAILED
    assert "content is another" in assertion.note
    assert "and 1 more" in assertion.note


def test_a_spoiled_copy_is_red(tree, tmp_path):
    taken, sink = taken_from(tree)
    source = MemorySource(taken, sink)
    found = restored(tmp_path, source)
    assert verifying.spoil(the_spec(tree), found).startswith("cut the last byte of 'c")
    (assertion,) = verifying.compare(the_spec(tree), source, found)
    assert assertion.outcome is Outcome.FAILED
    taken, sink = taken_from(tree, paths=["empty"])
    assert verifying.spoil(the_spec(tree), restored(tmp_path / "more", MemorySource(taken, sink))) == ""


def test_the_checks_of_the_spec_are_held_against_the_copy(tree, tmp_path):
    taken, sink = taken_from(tree)
    source = MemorySource(taken, sink)
    found = restored(tmp_path, source)
    checks = [
        {"count": "uploads/**", "at_least": 3},
        {"count": "uploads/**", "at_least": 300},
        {"newest": "uploads/*", "within": "1h"},
        {"newest": "config/app.yaml", "within": "1d"},
        {"newest": "gone/*", "within": "1d"},
    ]
    spec = the_spec(tree, backup={"to": ["local"], "verify": checks})
    _, *told = verifying.compare(spec, source, found)
    passed, failed = Outcome.PASSED, Outcome.FAILED
    assert [assertion.outcome for assertion in told] == [passed, failed, passed, failed, failed]


async def test_a_folder_is_measured(tree):
    report = await check({"kind": "files", "root": str(tree), "paths": ["config", "uploads", "gone"]})
    assert measured(report, "files").value == 10
    assert measured(report, "size").value > 9_700_000
    assert measured(report, "newest_file").value < timedelta(minutes=5).total_seconds()
    assert measured(report, "largest_file").note.startswith("uploads/sparse")
    assert finding(report, "missing").outcome is Outcome.FAILED
    assert measured(report, "missing").note == "gone"
    (tree / "gone").mkdir()
    report = await check(
        {"kind": "files", "root": str(tree), "paths": ["gone"], "limits": {"newest_file": {"warn": "1h"}}}
    )
    assert finding(report, "missing").outcome is Outcome.PASSED
    assert finding(report, "newest_file").outcome is Outcome.ERRORED


@pytest.mark.parametrize("path", ["/etc", "../x", "a/../../x", ""])
def test_a_path_that_leads_out_of_the_root_is_refused_in_the_spec(path):
    with pytest.raises(ValidationError, match="relative to root"):
        Spec(kind="files", root="/srv", paths=[path])

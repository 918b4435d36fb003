"""Each platform's disaster is rehearsed on the lab while somebody writes into its databases all the while."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis

from deployments.lab.pieces import Lab, Piece
from deployments.lab.servers import seaweedfs
from tasks.backing_up import BackupRun, back_up
from tasks.core.drill import Drill
from tasks.core.drill_plan import Scenario
from tasks.core.report import Verdict
from tasks.core.restore import Assertion, Phase
from tasks.core.results import Outcome
from tasks.core.settings import Settings
from tasks.drilling import Asked, Drilling
from tasks.platforms import platform_names
from tasks.restore_runs import RestoreRun
from tasks.restoring import Restoring, Wish
from tasks.systems.postgres.wal import parse_segment
from tasks.systems.redis import verify as redis_verify
from tasks.timers import Timer
from tests.lab.writing import Writer

pytestmark = pytest.mark.lab

_SEGMENT = 16 << 20
_SECOND = timedelta(seconds=1)
_STILL = ("projects", "project_payloads", "uploads")


class Stage:
    """The lab, its writer, and what was backed up of it."""

    def __init__(self, settings: Settings, state: Path, writer: Writer) -> None:
        self.settings, self.writer = settings, writer
        self._drills: dict[str, Drill] = {}
        self.pieces = {piece.target: piece for piece in Lab.read(state).pieces}

    def drilling(self, platform: str, **asked: object) -> Drilling:
        return Drilling.open(platform, self.settings, Asked(**asked))  # type: ignore[arg-type]

    def drill(self, platform: str, **asked: object) -> Drill:
        return self.drilling(platform, **asked).run()

    def complete(self, platform: str) -> Drill:
        """Return the drill of a complete platform; it is made once."""
        if platform not in self._drills:
            if self.writes_log(platform):
                self.archived(f"{platform}/database")
            self._drills[platform] = self.drill(platform)
        return self._drills[platform]

    def writes_log(self, platform: str) -> bool:
        piece = self.pieces.get(f"{platform}/database")
        return piece is not None and piece.kind == "postgres"

    def ask(self, target: str, statement: str) -> list[tuple[object, ...]]:
        with psycopg.connect(self.pieces[target].owner, autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def archived(self, target: str) -> None:
        """Have all that was written so far archived."""
        with psycopg.connect(self.pieces[target].address, autocommit=True) as connection:
            (name,) = connection.execute("SELECT pg_walfile_name(pg_switch_wal())").fetchone() or ("",)
            wait_for(
                lambda: (
                    connection.execute(
                        "SELECT coalesce(last_archived_wal, '') >= %s FROM pg_stat_archiver", (name,)
                    ).fetchone()
                    == (True,)
                )
            )

    @property
    def left(self) -> set[str]:
        """What is left of scratch: folders, sockets, and processes of it."""
        scratch = self.settings.state / "scratch"
        found = {str(path) for path in scratch.iterdir()} if scratch.exists() else set()
        return found | {name for name, _ in processes(scratch)}


def processes(scratch: Path) -> Iterator[tuple[str, int]]:
    """Yield the processes whose command line names the folder of scratch, or that work in it."""
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit():
                words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                if str(scratch) in words or (entry / "cwd").readlink().is_relative_to(scratch):
                    yield words, int(entry.name)


def wait_for(condition: Callable[[], bool], seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def stage(running_lab, tmp_path_factory) -> Iterator[Stage]:
    """All five platforms backed up while somebody writes; nobody's programs are found but the lab's."""
    state = tmp_path_factory.mktemp("drills")
    (state / "lab").symlink_to(running_lab.state)
    settings = Settings(state=state, lab=state / "lab")
    with pytest.MonkeyPatch.context() as patch, Writer(Lab.read(running_lab.state)) as writer:
        patch.setenv("PG_BIN", "")
        patch.delenv("PG_BIN")
        made = Stage(settings, running_lab.state, writer)
        made.ask(
            "apex/database", "CREATE TABLE ledger AS SELECT n, md5(n::text) AS line FROM generate_series(1, 500) n"
        )
        for platform in platform_names():
            report = back_up(BackupRun.open(platform, (), settings), told=lambda *_: None, done=lambda _: None)
            assert not report.failed
        wait_for(lambda: all(len(log) > 4 for log in writer.log.values()))
        yield made
        made.ask("apex/database", "DROP TABLE IF EXISTS ledger")


@pytest.fixture(autouse=True)
def _nothing_is_left(stage) -> Iterator[None]:
    sockets = set(Path(tempfile.gettempdir()).glob("wk-*"))
    yield
    assert stage.left == set()
    assert (
        not {path for path in Path(tempfile.gettempdir()).glob("wk-*") if path.stat().st_uid == os.getuid()} - sockets
    )


def live(stage: Stage) -> dict[str, str]:
    """Return a digest of what nobody writes to while a drill is under way."""
    found = {}
    for table in _STILL:
        rows = stage.ask("apex/database", f"SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM {table} t")  # noqa: S608
        found[table] = str(rows)
    for target, piece in stage.pieces.items():
        if piece.kind == "redis" and target.startswith(("apex", "stylesync")):
            with redis.Redis.from_url(piece.address) as client:
                found[target] = str(client.execute_command("DEBUG", "DIGEST"))
        if piece.kind == "s3" and "backups" not in target:
            found[target] = objects(piece)
        if piece.kind == "files":
            found[target] = files(Path(piece.details["folder"]))
    return found


def objects(piece: Piece) -> str:
    client = seaweedfs.client(piece.address)
    try:
        listed = client.list_objects_v2(Bucket=piece.details["bucket"]).get("Contents", [])
        return str([(one["Key"], one["ETag"], one["LastModified"]) for one in listed])
    finally:
        client.close()


def files(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        digest.update(f"{path} {path.stat().st_mtime_ns}".encode() + (path.read_bytes() if path.is_file() else b""))
    return digest.hexdigest()


def expected(stage: Stage, made: Drill) -> datetime:
    """Return the newest record of the writer's own log that was archived, or is in the backup."""
    database = next(one for one in made.systems if one.system == "database")
    if database.kind == "mongodb":
        reached = datetime.fromisoformat(database.details["reached"])  # in whole seconds, as an oplog has them
        assert database.recovered_to is not None
        assert database.recovered_to < reached + _SECOND
        return stage.writer.newest(made.platform, max(reached, database.recovered_to))
    segment = parse_segment(database.details["last_log_file"])
    assert segment is not None
    return stage.writer.newest_in_log(made.platform, (segment.number + 1) * _SEGMENT)


@pytest.mark.parametrize("platform", platform_names())
def test_a_platform_comes_back_proven_with_all_that_was_archived_and_production_is_untouched(stage, platform):
    before = live(stage)
    made = stage.complete(platform)
    assert made.verdict is Verdict.PASSED, [made.interrupted, *made.systems, *made.assertions, made.rpo, made.rto]
    assert [control for control in made.negative_controls if not control.red] == []
    assert {"truncated", "bit-flipped", "missing", "wrong key"} <= {one.name for one in made.negative_controls}
    assert live(stage) == before
    if platform in stage.writer.log:
        newest = expected(stage, made)
        told = next(one for one in made.systems if one.system == "database").recovered_to
        assert told is not None
        assert abs(told - newest) < _SECOND
        assert made.rpo.worst == "database"
        assert made.rpo.seconds == pytest.approx((made.disaster - newest).total_seconds(), abs=1)


def test_level_four_is_the_applications_own_tests_and_rows_against_objects(stage):
    made = stage.complete("apex")
    assert {one.name: one.outcome for one in made.assertions} == {
        "uploads: rows and objects": Outcome.PASSED,
        "e2e: smoke test": Outcome.PASSED,
    }
    assert {"rows of projects", "rows of project_payloads"} <= {one.name for one in made.all_assertions()}
    missing = [one for one in made.negative_controls if one.name == "missing log"]
    assert [(one.system, one.red) for one in missing] == [("database", True)]
    assert "is not archived" in missing[0].seen


def test_rows_that_name_what_no_backup_holds_fail_the_drill(stage):
    row = "SELECT id, 'uploads/gone.pdf', now() - interval '1 hour' FROM projects LIMIT 1"
    stage.ask("apex/database", f"INSERT INTO uploads (project_id, object_key, uploaded_at) {row}")
    try:
        stage.archived("apex/database")
        made = stage.drill("apex", systems=("database", "storage"))
    finally:
        stage.ask("apex/database", "DELETE FROM uploads WHERE object_key = 'uploads/gone.pdf'")
    assert made.verdict is Verdict.FAILED
    assert any("uploads/gone.pdf" in one.note for one in made.assertions)
    assert "e2e: smoke test: cache was not restored in this drill" in made.not_covered


def test_a_dropped_table_is_back_as_it_was_before(stage):
    ((before,),) = stage.ask("apex/database", "SELECT clock_timestamp()")
    assert isinstance(before, datetime)
    wait_for(lambda: stage.writer.log["apex"][-1].at > before + _SECOND)
    lines = stage.ask("apex/database", "SELECT count(*), md5(string_agg(line, '' ORDER BY n)) FROM ledger")
    stage.ask("apex/database", "DROP TABLE ledger")
    stage.archived("apex/database")
    made = stage.drill("apex", scenario=Scenario.DROPPED_TABLE, until=before.astimezone(UTC))
    assert [(one.system, one.outcome) for one in made.systems] == [("database", Outcome.PASSED)]
    assert made.verdict is Verdict.WARNED  # without the other systems, nothing is tried of the application
    newest = stage.writer.newest("apex", before)
    assert made.rpo.newest_record is not None
    assert abs(made.rpo.newest_record - newest) < _SECOND
    restoring = Restoring.open("apex", stage.settings)
    chosen = restoring.choose("database", Wish(until=before))
    with restoring.restored(chosen, Timer(restoring.access.now)) as restored, psycopg.connect(restored.address) as copy:
        query = "SELECT count(*), md5(string_agg(line, '' ORDER BY n)) FROM ledger"
        assert copy.execute(query.encode()).fetchall() == lines


def at_phase(monkeypatch, phase: Phase, act: Callable[[], None]) -> None:
    """Have something happen when a phase is entered, once."""
    real, done = Timer.phase, threading.Event()

    @contextlib.contextmanager
    def entered(self: Timer, entering: Phase) -> Iterator[None]:
        with real(self, entering):
            if entering is phase and not done.is_set():
                done.set()
                act()
                self.check()
            yield

    monkeypatch.setattr(Timer, "phase", entered)


@pytest.mark.parametrize("phase", [one for one in Phase if one is not Phase.SWITCH])
def test_a_drill_that_is_cancelled_in_any_phase_tears_all_down_and_says_how_far_it_came(stage, monkeypatch, phase):
    drilling = stage.drilling("synesthesia", systems=("database",))
    at_phase(monkeypatch, phase, drilling.cancel)
    made = drilling.run()
    assert made.interrupted == "cancelled after 0 of 1 systems"
    assert made.verdict in (Verdict.UNKNOWN, Verdict.FAILED)


def test_a_scratch_server_that_dies_in_the_middle_fails_its_system_and_the_others_go_on(stage, monkeypatch):
    real = redis_verify.compare

    def killed_first(spec: Any, source: Any, restored: Any) -> Iterator[Assertion]:
        (server,) = [pid for words, pid in processes(stage.settings.state / "scratch") if "valkey-server" in words]
        os.kill(server, signal.SIGKILL)
        yield from real(spec, source, restored)

    monkeypatch.setattr(redis_verify, "compare", killed_first)
    made = stage.drill("apex", systems=("cache", "storage"))
    outcomes = {one.system: one.outcome for one in made.systems}
    assert outcomes["cache"] in (Outcome.ERRORED, Outcome.FAILED)
    assert outcomes["storage"] is Outcome.PASSED
    assert made.verdict is not Verdict.PASSED


def test_what_a_restore_needs_and_is_not_here_is_told_before_anything_is_restored(stage, monkeypatch):
    monkeypatch.setattr("tasks.systems.postgres.tools._folders", lambda: iter(()))
    made = stage.drill("synesthesia", systems=("database",))
    assert made.systems[0].outcome is Outcome.NOT_CHECKED
    assert "before anything was restored: programs: the programs of PostgreSQL 18 are not here" in made.systems[0].error
    assert made.systems[0].phases == ()
    assert made.verdict is Verdict.UNKNOWN


def test_a_vault_that_stays_away_is_told_and_one_that_comes_back_was_waited_for(stage, lab):
    lab.break_("stylesync/vault-offsite", "stopped")
    drilling = stage.drilling("stylesync", systems=("cache",), vault="offsite")
    drilling.restoring.patience.bound = 0
    alone = drilling.run()
    assert alone.verdict in (Verdict.FAILED, Verdict.UNKNOWN)
    assert alone.systems[0].error

    def mended(text: str) -> None:
        if "vault offsite is away" in text:
            lab.mend()

    asked = Asked(systems=("cache",), vault="offsite")
    made = Drilling.open("stylesync", stage.settings, asked, tell=mended).run()
    assert made.systems[0].outcome is Outcome.PASSED
    assert [note.partition(" for ")[0] for note in made.notes] == ["vault offsite was away"]
    assert "vault offsite: no credentials that only read are named" in "".join(made.not_covered)


def test_a_staging_place_that_is_production_under_another_name_is_refused_by_its_address(stage, monkeypatch):
    restoring = Restoring.open("apex", stage.settings)
    address = stage.pieces["apex/database"].owner
    front = f"localhost:{stage.pieces['apex/database'].front}"
    staging = address.replace(f"127.0.0.1:{stage.pieces['apex/database'].back}", front)
    monkeypatch.setattr(restoring, "target", lambda _text: staging)
    report = RestoreRun(restoring, "database", Wish(method="logical"), "env:STAGING_DSN").run()
    assert "is the live system apex/database" in report.error
    assert staging not in report.error

"""Findings as metrics: what Prometheus' own parsers read back, bounded, and never silently absent."""

from __future__ import annotations

import stat
import threading
import urllib.error
import urllib.request
from datetime import timedelta

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from deployments.metrics import serving
from tasks.clients.blobs import FolderStore
from tasks.clients.report_store import ReportStore
from tasks.core.errors import ConfigError
from tasks.core.results import Outcome
from tasks.core.settings import Settings
from tasks.core.units import Unit
from tasks.exposition import exposition, write_textfile
from tasks.reports.metrics import MOST_SUBJECTS, Newest, render
from tests.golden.reports import NOW, REPORTS, finding, report, system


def samples(text, name, **labels):
    found = [one for family in parse_text(text) for one in family.samples if one.name == f"watchkeeper_{name}"]
    return [one for one in found if labels.items() <= one.labels.items()]


def value(text, name, **labels):
    (sample,) = samples(text, name, **labels)
    return sample.value


@pytest.mark.parametrize("name", REPORTS)
def test_both_of_prometheus_parsers_read_every_report(name):
    text = render([Newest("apex", REPORTS[name]())], NOW)
    classic, strict = (
        [one for family in parse(text) for one in family.samples] for parse in (parse_text, parse_openmetrics)
    )
    assert [(one.name, one.labels, one.value) for one in classic] == [
        (one.name, one.labels, one.value) for one in strict
    ]
    assert len({(one.name, *sorted(one.labels.items())) for one in classic}) == len(classic)


def test_a_finding_is_a_number_by_outcome_with_its_severity():
    text = render([Newest("apex", REPORTS["two-failures"]())], NOW)
    assert value(text, "finding_outcome", system="cache", measurement="reachable", severity="P0") == 2
    assert value(text, "finding_outcome", system="storage", measurement="check") == 3
    assert value(text, "finding_outcome", system="search") == 4
    assert value(text, "findings", outcome="failed") == 2
    assert value(text, "measurement_value", system="database", measurement="connections_used", unit="ratio") == 0.86
    assert value(text, "report_verdict", verdict="failed") == 1
    assert value(text, "report_duration_seconds") == pytest.approx(4.2)


def test_subjects_are_capped_the_worst_stay_and_the_rest_is_counted():
    text = render([Newest("apex", REPORTS["overflow"]())], NOW)
    assert len(samples(text, "finding_outcome", measurement="latency")) == MOST_SUBJECTS
    assert value(text, "subjects_cut", system="api", measurement="latency") == 300 - MOST_SUBJECTS
    many = [finding("pods", "restarts", number, Unit.COUNT, subject=f"pod-{number:03}") for number in range(100)]
    bad = finding("pods", "restarts", 99, Unit.COUNT, Outcome.FAILED, subject="the-bad-one")
    text = render([Newest("apex", report(system("pods", "kubernetes", *many, bad)))], NOW)
    assert value(text, "finding_outcome", subject="the-bad-one") == 2
    assert value(text, "measurement_value", subject="the-bad-one") == 99


def test_a_platform_without_a_report_is_there_as_not_up_and_stale():
    text = render([Newest("apex", None), Newest("shop", REPORTS["all-green"]())], NOW)
    assert (value(text, "report_up", platform="apex"), value(text, "report_stale", platform="apex")) == (0, 1)
    assert (value(text, "report_up", platform="shop"), value(text, "report_stale", platform="shop")) == (1, 0)


def test_an_old_report_is_stale():
    assert value(render([Newest("apex", REPORTS["late"]())], NOW + timedelta(hours=27)), "report_stale") == 1


@pytest.fixture
def kept(tmp_path):
    ReportStore(FolderStore(tmp_path / "reports")).save(REPORTS["all-green"](), "")
    return Settings(state=tmp_path)


def test_every_platform_with_a_spec_is_told_from_the_store(kept):
    text = exposition(kept, NOW)
    up = {one.labels["platform"]: one.value for one in samples(text, "report_up")}
    assert up == {"apex": 1, "eyewear": 0, "stario": 0, "stylesync": 0, "synesthesia": 0}


def test_a_store_that_cannot_be_read_is_not_up(tmp_path):
    (tmp_path / "in-the-way").write_text("", encoding="utf-8")
    settings = Settings(state=tmp_path, reports=str(tmp_path / "in-the-way"))
    assert value(exposition(settings, NOW), "report_up", platform="apex") == 0


def test_a_newest_report_that_is_garbled_gives_way_to_the_one_before(kept, tmp_path):
    (tmp_path / "reports/apex/health-check/apex-health-check-20261123T080000Z-ffffff.json").write_text("{")
    assert value(exposition(kept, NOW), "report_up", platform="apex") == 1


def test_a_textfile_is_there_in_one_piece_and_readable_by_all(tmp_path):
    path = tmp_path / "watchkeeper.prom"
    for text in ("old", "new"):
        write_textfile(path, text)
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert [one.name for one in tmp_path.iterdir()] == ["watchkeeper.prom"]


def test_a_textfile_that_cannot_be_written_is_said(tmp_path):
    with pytest.raises(ConfigError, match="cannot be written"):
        write_textfile(tmp_path / "no" / "such" / "watchkeeper.prom", "")


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "[::1]:0"])
def test_a_scrape_reads_the_store_anew(listen):
    texts = iter(["first\n", "second\n"])
    with serving(listen, lambda: next(texts)) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        port = server.server_address[1]
        host = listen.rpartition(":")[0]
        try:
            for expected in ("first\n", "second\n"):
                with urllib.request.urlopen(f"http://{host}:{port}/metrics", timeout=5) as answer:
                    assert answer.read().decode() == expected
                    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
            with pytest.raises(urllib.error.HTTPError, match="404"):
                urllib.request.urlopen(f"http://{host}:{port}/other", timeout=5)
        finally:
            server.shutdown()
            thread.join(5)


@pytest.mark.parametrize("listen", ["9464", "localhost:9464", "127.0.0.1:99999", "127.0.0.1:x"])
def test_an_address_that_is_none_is_answered_with_one(listen):
    with pytest.raises(ConfigError, match=r"127\.0\.0\.1:9464"), serving(listen, str):
        pass

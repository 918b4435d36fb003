"""What people call what is measured: no key of a series is left in a sentence."""

import re
from datetime import UTC, datetime

import pytest

from tasks import platforms
from tasks.core.advice.model import Fine, Kind
from tasks.core.advice.names import named
from tasks.core.limits import Measure
from tasks.core.results import Measurement
from tasks.core.settings import Settings
from tasks.core.units import Unit
from tasks.systems.prometheus.exporters import TOLD
from tasks.systems.prometheus.history import called

NOW = datetime(2026, 11, 20, tzinfo=UTC)
_KEY = re.compile(r"[a-z]_[a-z]|[\[\]{}]")
"""What only keys have: words joined by an underscore, subjects in brackets, places that nothing filled."""


def measured(platform):
    """Yield each number that the health checks may keep of a platform: its system, its measure, its subject."""
    spec = platforms.load(platform, Settings())
    for system, one in spec.systems.items():
        for name in one.measured():
            measure = one.measure(Measurement(name=name, value=1.0, unit=Unit.COUNT, at=NOW))
            if measure.unit not in (Unit.YES_NO, Unit.TEXT):
                yield one.called(system), measure


@pytest.mark.parametrize("platform", platforms.platform_names())
def test_every_measure_of_a_platform_has_a_name_that_is_no_key(platform):
    found = list(measured(platform))
    assert len(found) > 50
    for system, measure in found:
        assert measure.words, measure.name
        for subject in ("", "part"):
            name = measure.called(system, subject)
            assert not _KEY.search(name), name
            assert ("part" in name) == ("{subject}" in measure.words and bool(subject)), name
        assert not measure.share or measure.unit is Unit.RATIO, measure.name


@pytest.mark.parametrize(
    ("words", "subject", "name"),
    [
        ("size of table {subject} in {system}", "public.orders", "size of table public.orders in PostgreSQL"),
        ("load of {subject} of {system}", "", "load of PostgreSQL"),
        ("restarts of {subject}", "", "restarts of PostgreSQL"),
        ("backups of {system} ({subject})", "", "backups of PostgreSQL"),
        ("backups of {system} ({subject})", "{system}", "backups of PostgreSQL ({system})"),
        ("", "api", "queue depth of api of PostgreSQL"),
    ],
)
def test_a_measure_is_named_with_its_system_and_its_part(words, subject, name):
    assert Measure(name="queue_depth", unit=Unit.COUNT, help="", words=words).called("PostgreSQL", subject) == name


def test_what_exporters_tell_is_named_by_the_labels_that_its_query_leaves():
    names = {one.name: one for one in TOLD}
    assert names["container_memory"].called({"namespace": "apex", "container": "worker"}) == "memory of worker in apex"
    assert names["disk_used"].called({"instance": "node-1:9100", "mountpoint": "/data"}) == "disk /data of node-1"
    for one in TOLD:
        left = re.findall(r"by \(([^)]*)\)", one.query)[0].split(", ")
        name = one.called({label: f"<{label.rpartition('_')[2]}>" for label in left})
        assert not _KEY.search(name), name
        assert "?" not in name, name
        assert all(f"<{label.rpartition('_')[2]}>" in name for label in left), name
        assert one.called({}) == f"{one.name.replace('_', ' ')} (by {one.exporter})"


@pytest.mark.parametrize(
    ("labels", "name"),
    [
        ({}, "disk in use"),
        ({"instance": "node-1:9100"}, "disk in use, node-1"),
        (
            {"fstype": "ext4", "instance": "node-1:9100", "job": "node", "mountpoint": "/data"},
            "disk in use, /data of node-1",
        ),
        ({"phase": "harmony"}, "disk in use, phase harmony"),
        ({"path": "/derive"}, "disk in use, /derive"),
        ({"job": "node"}, "disk in use, job node"),
    ],
)
def test_a_series_of_an_objective_is_named_by_the_labels_that_say_something(labels, name):
    assert called("disk in use", labels) == name


@pytest.mark.parametrize(
    ("key", "kind", "name"),
    [
        ("cluster/deployment/apex-worker", "requests", "deployment apex-worker"),
        ("cluster/statefulset/redis", "requests", "stateful set redis"),
        ("cluster/hpa/apex-api-hpa", "autoscaler", "autoscaler apex-api-hpa"),
        ("cluster/scaledobject/worker", "queue scaler", "queue scaler worker"),
        ("cluster/pvc/minio-data", "volume", "volume minio-data"),
        ("cluster/claims", "volume", "volumes of cluster"),
        ("database", "postgres", "settings of PostgreSQL"),
        ("database/max_wal_size", "postgres", "max wal size of PostgreSQL"),
        ("database/indexes", "postgres", "indexes of PostgreSQL"),
        ("database/pools", "pools", "connection pools of PostgreSQL"),
        ("storage", "bucket", "bucket apex-uploads"),
        ("vault/offsite", "backups", "vault offsite"),
        ("database/logical[offsite]", "backups", "backups of PostgreSQL, logical, in vault offsite"),
        ("metrics/gpu_memory[0]", "gpu", "memory in use, gpu 0"),
    ],
)
def test_what_advice_is_about_is_named(key, kind: Kind, name):
    titles = {
        "database": "PostgreSQL",
        "storage": "bucket apex-uploads",
        "metrics/gpu_memory[0]": "memory in use, gpu 0",
    }
    assert named(Fine(key=key, kind=kind), titles).called == name

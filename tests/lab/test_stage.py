"""The stage's services answer by really asking the lab's servers."""

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.parse
from datetime import UTC, datetime, timedelta

import httpx
import psutil
import psycopg
import pytest
import redis
import trustme

from deployments.lab.servers import free_ports
from deployments.lab.stage.stage import Stage

pytestmark = pytest.mark.lab


def config(environment, *targets):
    return {"environment": environment, "services": {target: {"port": 0} for target in targets}, "control": 0}


@pytest.fixture(scope="module")
def s3(s3_server):
    parts = urllib.parse.urlsplit(s3_server.address)
    address = f"http://{parts.hostname}:{parts.port}"
    return {"S3_URL": address, "S3_ACCESS_KEY": parts.username, "S3_SECRET_KEY": parts.password}


@pytest.fixture
def nobody():
    """An address at which nobody listens."""
    (port,) = free_ports(1)
    return f"127.0.0.1:{port}"


@pytest.fixture
def silent():
    """An address at which somebody listens and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def prefixed(prefix, environment):
    return {f"{prefix}_{name}": value for name, value in environment.items()}


def get(stage, target, path="/", **more):
    return httpx.get(f"http://127.0.0.1:{stage.ports[target]}{path}", timeout=10, **more)


def post(stage, target, path, **more):
    return httpx.post(f"http://127.0.0.1:{stage.ports[target]}{path}", timeout=10, **more)


def set_fault(stage, target, fault):
    return httpx.post(f"http://127.0.0.1:{stage.control}/faults", json={"target": target, "fault": fault}, timeout=5)


def test_apex_is_ready_while_its_real_stores_are(postgres_server, redis_server, s3):
    environment = prefixed("APEX", {"DATABASE_URL": postgres_server.address, "REDIS_URL": redis_server.address} | s3)
    with Stage(config(environment, "apex/api")) as stage:
        ready, alive = get(stage, "apex/api", "/ready"), get(stage, "apex/api", "/health")
    assert ready.status_code == 200, ready.text
    assert {name: check["status"] for name, check in ready.json()["checks"].items()} == {
        "database": "up",
        "cache": "up",
        "storage": "up",
    }
    assert (alive.status_code, alive.json()["status"]) == (200, "healthy")


def test_a_store_that_is_gone_turns_readiness_red_and_the_body_says_which_and_why(redis_server, nobody):
    dsn = f"postgresql://apex:hunter2secret@{nobody}/apex"
    environment = prefixed("APEX", {"DATABASE_URL": dsn, "REDIS_URL": redis_server.address})
    with Stage(config(environment, "apex/api")) as stage:
        ready, alive = get(stage, "apex/api", "/ready"), get(stage, "apex/api", "/health")
    assert (ready.status_code, ready.json()["status"]) == (503, "unhealthy")
    assert ready.json()["checks"]["database"]["error"] == "connection refused"
    assert ready.json()["checks"]["cache"]["status"] == "up"
    assert "hunter2secret" not in ready.text
    assert alive.status_code == 200


def test_a_wrong_password_is_told_apart_and_not_shown(redis_server, s3):
    wrong = redis_server.address.replace("redis://:", "redis://:wrong")
    environment = prefixed("EYEWEAR", {"REDIS_URL": wrong} | s3 | {"S3_SECRET_KEY": "wrongwrong"})
    with Stage(config(environment, "eyewear/api")) as stage:
        answer = get(stage, "eyewear/api", "/health/dependencies")
    assert answer.status_code == 503
    assert answer.json()["checks"]["cache"]["error"] == "access denied"
    assert answer.json()["checks"]["storage"]["error"] == "status 403"
    assert "wrong" not in answer.text


def test_stores_that_never_answer_hold_a_health_check_for_three_seconds_at_most(silent):
    addresses = {
        "DATABASE_URL": f"postgresql://u:p@{silent}/d",
        "REDIS_URL": f"redis://{silent}/0",
        "S3_URL": f"http://{silent}",
        "SEARCH_URL": f"http://{silent}",
    }
    with Stage(config(prefixed("APEX", addresses), "apex/api")) as stage:
        began = time.perf_counter()
        answer = get(stage, "apex/api", "/ready")
    assert time.perf_counter() - began < 30
    assert {check["error"] for check in answer.json()["checks"].values()} == {"no answer in time"}


def test_a_kept_connection_that_was_cut_does_not_turn_a_healthy_store_red(postgres_server, redis_server):
    environment = prefixed("APEX", {"DATABASE_URL": postgres_server.address, "REDIS_URL": redis_server.address})
    with Stage(config(environment, "apex/api")) as stage:
        assert get(stage, "apex/api", "/ready").status_code == 200
        with psycopg.connect(postgres_server.address) as connection:
            cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'SELECT 1'"
            assert connection.execute(cut).fetchall()
        with redis.Redis.from_url(redis_server.address) as client:
            assert client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        again = get(stage, "apex/api", "/ready")
    assert again.status_code == 200, again.text


def test_services_connect_as_their_own_user_where_the_lab_names_one(redis_server, nobody):
    environment = {"APEX_REDIS_URL": f"redis://{nobody}/0", "APEX_APP_REDIS_URL": redis_server.address}
    with Stage(config(environment, "apex/api")) as stage:
        assert get(stage, "apex/api", "/ready").json()["checks"]["cache"]["status"] == "up"


def test_eyewear_asks_its_mongodb_and_lists_an_alert_for_what_is_down(mongodb_server, nobody):
    environment = prefixed("EYEWEAR", {"DATABASE_URL": mongodb_server.address, "REDIS_URL": f"redis://{nobody}/0"})
    with Stage(config(environment, "eyewear/api")) as stage:
        health = get(stage, "eyewear/api", "/health")
        alerts = get(stage, "eyewear/api", "/alerts/active").json()
        dashboard = get(stage, "eyewear/api", "/alerts/dashboard")
    assert (health.status_code, health.json()["status"]) == (200, "degraded")
    assert health.json()["checks"]["database"]["status"] == "up"
    assert [alert["name"] for alert in alerts["alerts"]] == ["cache_down"]
    assert dashboard.headers["content-type"].startswith("text/html")


def test_a_mongodb_that_is_gone_is_unhealthy(nobody):
    environment = prefixed("EYEWEAR", {"DATABASE_URL": f"mongodb://{nobody}/eyewear"})
    with Stage(config(environment, "eyewear/api")) as stage:
        assert get(stage, "eyewear/api", "/health").status_code == 503


def test_monitoring_asks_the_real_prometheus(prometheus_server, nobody):
    for address, status in ((prometheus_server.address, 200), (f"http://{nobody}", 503)):
        with Stage(config({"EYEWEAR_PROMETHEUS_URL": address}, "eyewear/api")) as stage:
            assert get(stage, "eyewear/api", "/health/monitoring").status_code == status


def test_starios_gateway_asks_its_services_at_their_own_addresses(redis_server, nobody):
    face = config({"STARIO_REDIS_URL": redis_server.address}, "stario/face-similarity", "stario/payme")
    with Stage(face) as services:
        address = f"http://127.0.0.1:{services.ports['stario/face-similarity']}"
        environment = {"STARIO_FACE_SIMILARITY_URL": address, "STARIO_VIDEO_GEN_URL": f"http://{nobody}"}
        with Stage(config(environment, "stario/gateway")) as stage:
            up = get(stage, "stario/gateway", "/health/face-similarity")
            down = get(stage, "stario/gateway", "/health/video-gen")
            overall = get(stage, "stario/gateway", "/health")
            set_fault(services, "stario/face-similarity", "unhealthy")
            sick = get(stage, "stario/gateway", "/health/face-similarity")
        assert get(services, "stario/payme", "/api/status").json()["status"] == "operational"
    assert (up.status_code, down.status_code, sick.status_code) == (200, 503, 503)
    assert (overall.status_code, overall.json()["status"]) == (200, "degraded")


@pytest.fixture
def audit_logs(postgres_server):
    """The address of a database whose audit log has one entry of January 2025 and one of February."""
    with psycopg.connect(postgres_server.address, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE audit_logs (id bigint GENERATED ALWAYS AS IDENTITY, actor text, action text, subject text, "
            "at timestamptz)"
        )
        connection.execute("INSERT INTO audit_logs (at) VALUES ('2025-01-31 12:00Z'), ('2025-02-02 12:00Z')")
        yield postgres_server.address
        connection.execute("DROP TABLE audit_logs")


def test_starios_admin_paths_want_a_token_and_read_the_real_stores(audit_logs, redis_server):
    with redis.Redis.from_url(redis_server.address) as client:
        client.delete("ephemeral_deletion_queue")
        client.rpush("ephemeral_deletion_queue", "a", "b")
    addresses = {"DATABASE_URL": audit_logs, "REDIS_URL": redis_server.address, "ADMIN_TOKEN": "right"}
    export, admin = "/content/audit-logs/export", {"Authorization": "Bearer right"}
    january = {"date_from": "2025-01-01", "date_to": "2025-01-31"}
    with Stage(config(prefixed("STARIO", addresses), "stario/gateway")) as stage:
        for token in ("", "Bearer wrong"):
            assert post(stage, "stario/gateway", export, headers={"Authorization": token}).status_code == 401
        counted = post(stage, "stario/gateway", export, headers=admin, json=january).json()
        unclear = post(stage, "stario/gateway", export, headers=admin, json={"date_from": "January"})
        case = january | {"case_id": "LEGAL-2025-001", "user_ids": ["u"]}
        legal = post(stage, "stario/gateway", "/content/legal-export", headers=admin, json=case)
        report = get(stage, "stario/gateway", "/admin/compliance/report", headers=admin).json()
        metrics = get(stage, "stario/gateway", "/metrics").text
        webhook = post(stage, "stario/gateway", "/payments/webhook/payme", json={"test": True})
    assert counted["entries"] == 1
    assert unclear.status_code == 422
    assert (legal.status_code, legal.json()["status"]) == (202, "prepared")
    assert report["ephemeral_pending_deletions"] == 2
    assert "ephemeral_pending_deletions 2.0" in metrics
    assert webhook.json() == {"received": True, "test": True}


def test_stylesync_advises_from_the_real_cache_and_from_memory_without_it(redis_server, nobody):
    form, key = {"base_color": "#FF0000", "target_role": "bottom"}, {"X-API-Key": "right"}
    with redis.Redis.from_url(redis_server.address) as client:
        client.delete(*client.keys("stylesync:l1:*") or ["none"])
    found = []
    for address in (redis_server.address, f"redis://{nobody}/0"):
        environment = {"STYLESYNC_REDIS_URL": address, "STYLESYNC_API_KEY": "right"}
        with Stage(config(environment, "stylesync/api")) as stage:
            for _ in range(2):
                answer = post(stage, "stylesync/api", "/v1/advice", data=form, headers=key)
                assert answer.status_code == 200
                found.append((answer.json()["cached"], answer.json()["degraded"]))
            denied = post(stage, "stylesync/api", "/v1/advice", data=form, headers={"X-API-Key": "wrong"})
            unclear = post(stage, "stylesync/api", "/v1/advice", data={"base_color": "red"}, headers=key)
            metrics = get(stage, "stylesync/api", "/v1/metrics").text
    assert found == [(False, False), (True, False), (False, True), (True, True)]
    assert (denied.status_code, unclear.status_code) == (401, 422)
    assert 'stylesync_requests_total{method="POST",path="/v1/advice",status="200"} 2.0' in metrics
    with redis.Redis.from_url(redis_server.address) as client:
        (kept,) = client.keys("stylesync:l1:content_hash:*")
        assert 0 < client.ttl(kept) <= 86_400


def test_stylesync_is_not_ready_without_a_phase(redis_server):
    with Stage(config({}, "stylesync/segmentation")) as phases:
        address = f"http://127.0.0.1:{phases.ports['stylesync/segmentation']}"
        environment = {"STYLESYNC_SEGMENTATION_URL": address, "STYLESYNC_REDIS_URL": redis_server.address}
        with Stage(config(environment, "stylesync/api")) as stage:
            before = get(stage, "stylesync/api", "/v1/readyz")
            set_fault(phases, "stylesync/segmentation", "unhealthy")
            after = get(stage, "stylesync/api", "/v1/readyz")
    assert (before.status_code, before.json()["status"]) == (200, "ready")
    assert (after.status_code, after.json()["checks"]["segmentation"]["error"]) == (503, "status 503")


def test_synesthesia_shows_its_page_and_its_apis_health(postgres_server):
    environment = {"SYNESTHESIA_DATABASE_URL": postgres_server.address}
    with Stage(config(environment, "synesthesia/api", "synesthesia/web")) as stage:
        health, web = get(stage, "synesthesia/api", "/v1/health"), get(stage, "synesthesia/web")
        metrics = get(stage, "synesthesia/api", "/metrics").text
    assert (health.status_code, health.json()["status"]) == (200, "healthy")
    assert "<html" in web.text
    assert "http_requests_total" in metrics
    assert "story_packs_generated_total" in metrics


def test_apex_derives_a_cabinet_and_presigns_an_upload(s3):
    cabinet = {"overall_height_ft": 30.0, "cabinets": [{"width_ft": 10.0, "height_ft": 6.0}]}
    derive = "/signage/common/cabinets/derive"
    with Stage(config(prefixed("APEX", s3), "apex/api")) as stage:
        derived = post(stage, "apex/api", derive, json=cabinet)
        presigned = post(stage, "apex/api", "/files/presign", json={"filename": "test.pdf"})
        unclear = [post(stage, "apex/api", derive, content=body).status_code for body in (b"{", b"[]", b"{}")]
        metrics = get(stage, "apex/api", "/metrics").text
    assert derived.json()["result"]["area_ft2"] == 60.0
    assert presigned.json()["url"].startswith(s3["S3_URL"])
    assert unclear == [422, 422, 422]
    assert "apex_pg_pool_used " in metrics
    assert "search_fallback_total 12.0" in metrics


def test_an_unknown_service_is_played_by_a_sensible_one(redis_server):
    with Stage(config({"NEW_ONE_REDIS_URL": redis_server.address}, "new-one/thing")) as stage:
        assert get(stage, "new-one/thing", "/health").json()["checks"]["cache"]["status"] == "up"
        assert get(stage, "new-one/thing", "/nowhere").status_code == 404
        assert post(stage, "new-one/thing", "/health").status_code == 405
        assert get(stage, "new-one/thing", "/metrics").status_code == 200


def test_every_fault_turns_a_service_and_mends():
    with Stage(config({}, "apex/api", "apex/other")) as stage:
        assert set_fault(stage, "apex/api", "unhealthy").json()["faults"] == {"apex/api": "unhealthy"}
        assert get(stage, "apex/api", "/health").status_code == 503
        assert get(stage, "apex/other", "/health").status_code == 200
        set_fault(stage, "apex/api", "error-body")
        error = get(stage, "apex/api", "/health")
        assert (error.status_code, error.json()["status"]) == (200, "error")
        set_fault(stage, "apex/api", "garbage")
        with pytest.raises(UnicodeDecodeError):
            json.loads(get(stage, "apex/api", "/health").content)
        set_fault(stage, "apex/api", None)
        assert get(stage, "apex/api", "/health").json()["status"] == "healthy"


def test_an_endless_body_goes_on_until_the_client_leaves_or_the_fault_does():
    with Stage(config({}, "apex/api")) as stage:
        set_fault(stage, "apex/api", "endless")
        url = f"http://127.0.0.1:{stage.ports['apex/api']}/health"
        with httpx.stream("GET", url, timeout=5) as answer:
            read = 0
            for chunk in answer.iter_raw():
                read += len(chunk)
                if read > 20_000:
                    set_fault(stage, "apex/api", None)
        assert read > 20_000


def test_a_slow_service_keeps_a_client_waiting_and_is_quick_when_mended():
    with Stage(config({}, "apex/api")) as stage:
        set_fault(stage, "apex/api", "slow")
        with pytest.raises(httpx.ReadTimeout):
            httpx.get(f"http://127.0.0.1:{stage.ports['apex/api']}/health", timeout=0.3)
        set_fault(stage, "apex/api", None)
        assert get(stage, "apex/api", "/health").elapsed < timedelta(seconds=2)


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (b'{"target": "apex/aip", "fault": "slow"}', 404, "apex/api"),
        (b'{"target": "apex/api", "fault": "sleepy"}', 404, "unhealthy, error-body, slow"),
        (b'{"target": "apex/api"}', 400, "fault"),
        (b"nonsense", 400, "fault"),
    ],
)
def test_a_wrong_order_is_answered_with_what_can_be_ordered(body, status, says):
    with Stage(config({}, "apex/api")) as stage:
        answer = httpx.post(f"http://127.0.0.1:{stage.control}/faults", content=body, timeout=5)
    assert answer.status_code == status
    assert says in answer.json()["error"]


def expiry(port, authority):
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with (
        socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
        context.wrap_socket(plain, server_hostname="lab.local") as secured,
    ):
        return secured.getpeercert()["notAfter"]


def test_a_certificate_is_served_and_a_new_one_is_taken_up_without_a_restart(tmp_path):
    authority, files = trustme.CA(), (tmp_path / "certificate.pem", tmp_path / "key.pem")

    def write(days):
        issued = authority.issue_cert("lab.local", not_after=datetime.now(UTC) + timedelta(days=days))
        files[0].write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(str(files[1]))

    write(90)
    place = {"port": 0, "certificate": str(files[0]), "key": str(files[1])}
    with Stage(config({}, "stario/gateway") | {"tls": {"stario/certificate": place}}) as stage:
        port = stage.ports["stario/certificate"]
        first = expiry(port, authority)
        write(3)
        second = expiry(port, authority)
        files[0].write_text("half a certi")
        third = expiry(port, authority)
        context = ssl.create_default_context()
        authority.configure_trust(context)
        context.check_hostname = False
        behind = httpx.get(f"https://127.0.0.1:{port}/health", verify=context, timeout=5)
    assert first != second == third
    assert behind.json()["service"] == "api-gateway"


def test_a_client_that_says_nothing_holds_up_no_other_handshake(tmp_path):
    authority = trustme.CA()
    issued = authority.issue_cert("lab.local")
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    issued.cert_chain_pems[0].write_to_path(str(certificate))
    issued.private_key_pem.write_to_path(str(key))
    place = {"port": 0, "certificate": str(certificate), "key": str(key)}
    with Stage(config({}) | {"tls": {"apex/certificate": place}}) as stage:
        port = stage.ports["apex/certificate"]
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            assert expiry(port, authority)


def test_the_process_stays_small_with_every_driver_loaded_and_ends_at_once(tmp_path, nobody):
    service, control = free_ports(2)
    addresses = {
        "DATABASE_URL": f"postgresql://{nobody}/d",
        "REDIS_URL": f"redis://{nobody}/0",
        "S3_URL": f"http://{nobody}",
    }
    services = {"apex/api": {"port": service}, "eyewear/api": {"port": 0}}
    environment = prefixed("APEX", addresses)
    file = tmp_path / "stage.json"
    file.write_text(json.dumps({"environment": environment, "services": services, "control": control}))
    process = subprocess.Popen([sys.executable, "-m", "deployments.lab.stage", "--config", str(file)])  # noqa: S603
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                assert httpx.get(f"http://127.0.0.1:{control}/healthz", timeout=5).json()["ok"]
                break
            except httpx.TransportError:
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.02)
        assert httpx.get(f"http://127.0.0.1:{service}/ready", timeout=10).status_code == 503
        assert psutil.Process(process.pid).memory_info().rss < 90 << 20
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait(60)

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from deployments.runs import parameters, start
from tasks.core.errors import ConfigError, Unreachable
from tasks.core.settings import Settings


def test_parameters_are_json_or_text_and_a_name_given_again_makes_a_list():
    assert parameters(["tell=false", "systems=api", "systems=cache", "note=a=b"]) == {
        "tell": False,
        "systems": ["api", "cache"],
        "note": "a=b",
    }


@pytest.mark.parametrize("assignment", ["systems", "=api"])
def test_an_assignment_of_nothing_is_refused(assignment):
    with pytest.raises(ConfigError, match="sets nothing"):
        parameters([assignment])


def test_without_an_api_the_cure_is_named(tmp_path, monkeypatch):
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    with pytest.raises(ConfigError, match="watchkeeper up"):
        start("health-check", "apex", {}, settings=Settings(state=tmp_path), follow=False)


def test_an_api_that_does_not_answer_is_unreachable(tmp_path, monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:1/api")
    with pytest.raises(Unreachable):
        start("health-check", "apex", {}, settings=Settings(state=tmp_path), follow=False)


def test_a_server_that_is_busy_for_a_moment_is_asked_again_and_starts_one_run(tmp_path, monkeypatch):
    asked = []

    class Busy(BaseHTTPRequestHandler):
        def do_GET(self):
            self.say(200, {"id": "d", "parameters": {}, "parameter_openapi_schema": {}})

        def do_POST(self):
            asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            run = {"id": "r", "name": "keen-owl", "state": {"name": "Scheduled", "type": "SCHEDULED"}}
            self.say(503 if len(asked) < 3 else 201, run)

        def say(self, status, answer):
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    pauses = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Busy) as server:
        threading.Thread(target=server.serve_forever).start()
        monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{server.server_port}/api")
        settings = Settings(state=tmp_path)
        outcome = start("health-check", "apex", {}, settings=settings, follow=False, pause=pauses.append)
        server.shutdown()
    assert (outcome.name, outcome.state, outcome.exit_code) == ("keen-owl", "Scheduled", 0)
    assert len(pauses) == 2
    assert len({order["idempotency_key"] for order in asked}) == 1

"""The metrics of findings in a real server that takes Prometheus' text: what it answers is what the report says."""

import json
import time
import urllib.parse
import urllib.request

import pytest

from tasks.reports.metrics import Newest, render
from tests.golden.reports import NOW, REPORTS

pytestmark = pytest.mark.lab


def answers(address, promql):
    url = f"{address}/api/v1/query?{urllib.parse.urlencode({'query': promql})}"
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - our own loopback address
        result = json.load(answer)["data"]["result"]
    return {one["metric"].get("subject") or one["metric"]["platform"]: float(one["value"][1]) for one in result}


def test_a_server_takes_the_text_and_answers_with_what_the_report_says(prometheus_server):
    stamp = int(time.time() * 1000) - 60_000
    text = render([Newest("hostile", REPORTS["hostile"]()), Newest("apex", REPORTS["two-failures"]())], NOW)
    for path, data in (
        (f"api/v1/import/prometheus?timestamp={stamp}", text.encode()),
        ("internal/force_flush", b""),
    ):
        urllib.request.urlopen(f"{prometheus_server.address}/{path}", data=data, timeout=10).close()  # noqa: S310
    failed = 'watchkeeper_finding_outcome{platform="apex"} == 2'
    assert answers(prometheus_server.address, f"count by (platform) ({failed})") == {"apex": 2}
    assert answers(prometheus_server.address, "watchkeeper_report_up") == {"apex": 1, "hostile": 1}
    hostile = answers(prometheus_server.address, 'watchkeeper_finding_outcome{platform="hostile",system="api"}')
    assert len(hostile) == 5
    assert any("<script>alert('x')</script>" in subject for subject in hostile)

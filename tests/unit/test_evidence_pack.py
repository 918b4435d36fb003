"""A pack as its readers take it: an auditor by the page, programs by OSCAL, OCSF and CSV, and of one platform alone."""

import csv
import io
import json
import re
import subprocess
import sys
import zipfile
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import pytest
from click.testing import CliRunner
from py_ocsf_models.events.findings.compliance_finding import ComplianceFinding
from trestle.oscal.assessment_results import Model as AssessmentResults

from deployments.cli import main
from tasks.clients.blobs import FolderStore
from tasks.clients.ledger import Ledger
from tasks.core.compliance import Checklist, Item
from tasks.core.control import Result
from tasks.core.evidence import check_pack, parse_head
from tasks.core.operating import Gap, Operated

AT = datetime(2026, 11, 1, 7, tzinfo=UTC)
SECRET = "internal-only-headline"
FILE = b"call sheet"
SHA = "a3f1a5b4ff2e34d4bfbd5fc2bd98ac2bf2d3b0ab3f9f2e6fb50e3a52a6f7fb2e"


def item(result, **more):
    known = {
        "control": result.replace(" ", "-"), "title": f"What is {result}", "severity": "high", "owner": "platform",
        "result": result, "looked_at": 3, "proves": "that it was seen", "remedy": "mend it", "since": AT,
        "requirements": {"SOC 2": ("CC6.7",), "GDPR": ("Art. 32",), "ISO 27001:2022": ()},
    }  # fmt: skip
    return Item.model_validate(known | more)


def checklist(platform="shop"):
    gaps = (Gap(at=AT - timedelta(days=3)), Gap(at=AT - timedelta(days=2), why="downtime: moved"))
    found = [item(result) for result in Result]
    return Checklist(
        id="c", platform=platform, title="The <Shop>", started=AT, finished=AT, notes=("a clock was wrong",),
        items=(*found, item("fail", control="certificates", findings=("ends in 2 days <b>",))),
        operated=(Operated(flow="health-check", expected=30, ran=28, gaps=gaps),),
    )  # fmt: skip


def body(flow, facts, platform="shop", said="said", **more):
    known = {"collected_at": "2026-11-01T07:00:00Z", "environment": "production", "kind": "control"}
    made = {
        "platform": platform,
        "flow": flow,
        "verdict": "failed",
        "said": said,
        "by": "https://prefect.example/runs/1",
    }
    until = {"effective": {"from": "2026-11-01T07:00:00Z", "until": "2027-01-31T00:00:00Z"}}
    return known | made | until | {"facts": facts, "watchkeeper": "1.0", "spec": "f" * 64} | more


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = tmp_path_factory.mktemp("pack")
    (place / "platforms").mkdir()
    for name in ("shop", "other"):
        spec = f"""
platform: {name}
title: {name}
slack: {{channel: "#shop"}}
severities: {{P0: {{means: down, respond: 15m}}}}
default_severity: {{warn: P0, critical: P0}}
systems: {{web: {{kind: http, url: "http://127.0.0.1:9", expect: {{/: {{}}}}}}}}
"""
        (place / "platforms" / f"{name}.yaml").write_text(spec, encoding="utf-8")
    ledger = Ledger(FolderStore(place / "evidence"))
    ledger.keep_file(SHA, FILE)
    stated = {"control": "attested", "text": "all five", "evidence": f"sha256:{SHA}"}
    ledger.append(body("health-check", {"systems": []}))
    ledger.append(body("health-check", {"systems": []}, platform="other", said=SECRET))
    ledger.append(body("attestation", stated, by="Ada Byron", verdict="stated"))
    found = json.loads(checklist().model_dump_json())
    ledger.append(body("compliance-checklist", found, said="Shop: failed: 2 of 8 proven"))
    return place


def packed(place, *words):
    into = place / f"{len(list(place.glob('*.zip')))}.zip"
    state = ("--state", str(place), "--output", str(into), "--json")
    environment = {"WATCHKEEPER_PLATFORMS": str(place / "platforms")}
    outcome = CliRunner().invoke(main, ["evidence", "pack", "--month", "2026-11", *words, *state], env=environment)
    assert outcome.exit_code == 0, outcome.output
    return into, json.loads(outcome.output)


@pytest.fixture(scope="module")
def pack(place):
    path, _ = packed(place)
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_oscal_assessment_results_are_what_the_schema_says(pack):
    made = AssessmentResults.model_validate_json(pack["oscal-assessment-results.json"]).assessment_results
    (result,) = made.results
    assert len(result.observations) == 4
    methods = {one.title: str(one.methods[0]) for one in result.observations}
    assert (methods["shop: attestation"], methods["shop: health-check"]) == ("INTERVIEW", "TEST")
    states = {one.target.target_id: one.target.status.state for one in result.findings}
    assert states["pass"] == states["attested"] != states["fail"]
    assert "not-applicable" not in states
    assert {one.relevant_evidence[0].href for one in result.observations} <= set(pack)
    broken = json.loads(pack["oscal-assessment-results.json"])
    del broken["assessment-results"]["results"][0]["reviewed-controls"]
    with pytest.raises(ValueError, match="reviewed-controls"):
        AssessmentResults.model_validate(broken)


def test_each_item_is_a_compliance_finding_that_ocsf_takes(pack):
    events = [json.loads(line) for line in pack["ocsf.jsonl"].splitlines()]
    assert len(events) == len(Result)
    found = [ComplianceFinding.model_validate(event) for event in events]
    statuses = {one.compliance.control: one.compliance.status_id.name for one in found}
    assert statuses == {
        "pass": "Pass", "fail": "Fail", "certificates": "Fail", "attested": "Other", "waived": "Other",
        "not-checked": "Warning", "stale": "Warning", "error": "Warning",
    }  # fmt: skip
    for event in events:  # https://schema.ocsf.io/1.3.0/classes/compliance_finding: what the class requires
        required = {"activity_id", "category_uid", "class_uid", "compliance", "finding_info", "metadata", "severity_id",
                    "time", "type_uid"}  # fmt: skip
        assert required <= set(event)
        assert event["type_uid"] == event["class_uid"] * 100 + event["activity_id"] == 200301
        assert event["compliance"]["standards"] == ["GDPR", "SOC 2"]
        assert {"version", "product"} <= set(event["metadata"])
        assert {"uid", "title"} <= set(event["finding_info"])
        assert event["severity_id"] in range(7)
    with pytest.raises(ValueError, match="severity_id"):
        ComplianceFinding.model_validate(events[0] | {"severity_id": 42})


class Reader(HTMLParser):
    """Reads a page as a person does: the text of each row of a table, and where its links lead."""

    def __init__(self, text):
        super().__init__()
        self.rows, self.links, self.scripts = [], [], 0
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if tag == "tr":
            self.rows.append("")
        if tag == "script":
            self.scripts += 1
        self.links += [value for name, value in given.items() if name in ("href", "src")]

    def handle_data(self, data):
        if self.rows:
            self.rows[-1] += f" {data.strip()}"


def test_an_auditor_finds_for_each_item_what_was_proven_when_by_what_and_by_whom(pack):
    page = Reader(pack["index.html"].decode())
    for one in checklist().items:
        (row,) = [row for row in page.rows if f" {one.title} {one.control} " in row]
        assert "A pass proves: that it was seen" in row
        assert "2026-11-01T07:00:00Z" in row
        assert "record 4" in row
        assert "owner platform" in row
        assert ("https://prefect.example/runs/1" in row) is (one.result in ("pass", "fail", "error", "stale", "waived"))
    (gap,) = [row for row in page.rows if row.startswith(" health-check 30 28")]
    assert "2026-10-29T07:00:00Z: not explained" in gap
    assert "2026-10-30T07:00:00Z: downtime: moved" in gap
    (clause,) = [row for row in page.rows if row.startswith(" SOC 2 CC6.7")]
    assert "shop: certificates" in clause
    text = re.sub(r"\s+", " ", pack["index.html"].decode())
    assert "1 of 8 proven, 1 attested, 1 waived, 2 failed, 1 in error, 1 stale, 1 not checked" in text
    assert "a clock was wrong" in text


def test_the_page_is_safe_and_all_its_links_lead_into_the_pack(pack):
    text = pack["index.html"].decode()
    page = Reader(text)
    assert page.scripts == 0
    assert "ends in 2 days &lt;b&gt;" in text
    assert "The &lt;Shop&gt;" in text
    inside = {link for link in page.links if not link.startswith(("#", "https://prefect.example/"))}
    assert inside <= set(pack)
    anchors = {link[1:] for link in page.links if link.startswith("#")}
    assert anchors <= set(re.findall(r'id="([^"]+)"', text))


def test_the_tables_hold_every_item_and_every_record(pack):
    rows = list(csv.DictReader(io.StringIO(pack["controls.csv"].decode())))
    assert [row["control"] for row in rows] == [one.control for one in checklist().items]
    assert rows[0]["requirements"] == "GDPR Art. 32; SOC 2 CC6.7"
    assert (rows[0]["record"], rows[0]["platform"], rows[0]["by"]) == ("4", "shop", "https://prefect.example/runs/1")
    assert len(list(csv.DictReader(io.StringIO(pack["evidence.csv"].decode())))) == 4


def test_what_people_gave_as_evidence_is_in_the_pack(pack):
    assert pack[f"files/{SHA}"] == FILE


def test_the_pack_of_one_platform_tells_nothing_of_another_and_no_record_can_be_missing(place):
    path, told = packed(place, "--platform", "shop")
    assert (told["records"], told["withheld"]) == (4, 1)
    with zipfile.ZipFile(path) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    assert not [name for name, data in held.items() if SECRET.encode() in data]
    assert b"withheld" in held["index.html"]
    AssessmentResults.model_validate_json(held["oscal-assessment-results.json"])
    (place / "verify.py").write_bytes(held["verify.py"])
    words = [sys.executable, "-I", "-S", "verify.py", path.name, "--head", told["head"]]
    done = subprocess.run(words, check=False, capture_output=True, text=True, cwd=place)  # noqa: S603 - ours
    assert (done.returncode, "1 of them are of other platforms" in done.stdout) == (0, True)
    wrong, _ = check_pack(path.read_bytes(), parse_head("4:" + "0" * 64))
    assert "told outside" in wrong[0]


def test_a_platform_that_is_none_is_refused(place):
    words = ["evidence", "pack", "--month", "2026-11", "--platform", "nobody", "--state", str(place)]
    environment = {"WATCHKEEPER_PLATFORMS": str(place / "platforms")}
    outcome = CliRunner().invoke(main, words, env=environment)
    assert (outcome.exit_code, "nobody" in outcome.output) == (2, True)

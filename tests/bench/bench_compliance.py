"""How long the analysers of compliance take, against the bounds of the issue.

In seconds of the processor, not of the clock: they run in one thread, and a machine that is busy with others makes them
no slower.
"""

from __future__ import annotations

import random
import resource
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import process_time

from tasks.clients.blobs import MemoryStore
from tasks.clients.ledger import Ledger
from tasks.core.evidence import seal
from tests.bench.figures import Figure

_LINES = 1_000_000
_BOUND = 10
_ATTEMPT = """{t} web1 sshd[{n}]: Invalid user a{n} from {ip}
{t} web1 sshd[{n}]: pam_unix(sshd:auth): check pass; user unknown
{t} web1 sshd[{n}]: pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost={ip} \n\
{t} web1 sshd[{n}]: Failed password for invalid user a{n} from {ip} port {n} ssh2
{t} web1 sshd[{n}]: Received disconnect from {ip}: 11: Bye Bye [preauth]
"""
_ENTRY = '{ip} - - [{t}] "GET {target} HTTP/1.1" {status} 512 "https://shop.example/{n}" "Mozilla/5.0 (X11; rv:{n})"\n'
_MANIFESTS = 5_000
_RECORDS = 100_000
_APPENDED = 1_000
_DEPLOYMENT = """apiVersion: apps/v1
kind: Deployment
metadata:
  name: app-{n}
  namespace: shop
spec:
  replicas: 2
  selector:
    matchLabels: {{app: a}}
  template:
    metadata:
      labels: {{app: a}}
    spec:
      hostNetwork: true
      initContainers:
        - name: init
          image: busybox
      containers:
        - name: app
          image: nginx:latest
          env:
            - name: DB_PASSWORD
              value: hunter2
            - name: ADDRESS
              value: http://x/y
          ports:
            - containerPort: 80
          resources:
            requests:
              cpu: 100m
          livenessProbe:
            httpGet: {{path: /, port: 80}}
      volumes:
        - name: v
          hostPath: {{path: /etc}}
"""


def run() -> dict[str, Figure]:
    """Time `watchkeeper logs scan` over a million lines of each sort, as a whole process."""
    figures = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, write in (("sshd", _sshd), ("nginx", _nginx)):
            path = Path(folder) / name
            write(path)
            figures[f"scan of 1M {name} lines, s"] = Figure(_seconds("logs", "scan", str(path)), _BOUND, "the issue")
        manifests = Path(folder) / "manifests"
        _manifests(manifests)
        asked = ("controls", "run", "kubernetes", "--manifests", str(manifests))
        figures["5,000 manifests judged, s"] = Figure(_seconds(*asked), _BOUND, "the issue")
        figures |= _ledger(Path(folder) / "state")
    return figures


def _ledger(state: Path) -> dict[str, Figure]:
    """Time adding to a ledger in memory, where the store takes no time, and verifying one of files."""
    ledger, held = (
        Ledger(MemoryStore()),
        {"facts": {"findings": [{"outcome": "passed", "value": n} for n in range(50)]}},
    )
    began = process_time()
    for _ in range(_APPENDED):
        ledger.append(held)
    added = 1000 * (process_time() - began) / _APPENDED
    head = None
    for sequence in range(1, _RECORDS + 1):
        head, data = seal({"collected_at": "2026-11-01T00:00:00Z", "facts": {"n": sequence}}, head)
        path = state / f"evidence/records/{sequence // 1000:07}/{sequence:010}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    took = _seconds("evidence", "verify", "--state", str(state), "--head", str(head))
    return {
        "append beside the store, ms": Figure(added, 5, "the issue"),
        "100,000 records verified, s": Figure(took, _BOUND, "the issue"),
    }


def _seconds(*arguments: str) -> float:
    words = ["watchkeeper", *arguments, "--json"]
    code = f"import sys; sys.argv = {words!r}; from deployments.cli import main; main()"
    began = _used()
    done = subprocess.run([sys.executable, "-c", code], check=False, stdout=subprocess.PIPE)
    if done.returncode not in (0, 1) or not done.stdout.startswith(b"{"):
        raise RuntimeError(f"it ended with {done.returncode}")
    return _used() - began


def _used() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _manifests(folder: Path) -> None:
    folder.mkdir()
    for number in range(_MANIFESTS):
        (folder / f"{number}.yaml").write_text(_DEPLOYMENT.format(n=number), encoding="utf-8")


def _address(chance: random.Random) -> str:
    return f"{chance.randrange(1, 224)}.{chance.randrange(256)}.{chance.randrange(20)}.{chance.randrange(20)}"


def _sshd(path: Path) -> None:
    chance, at = random.Random(1), datetime(2025, 12, 10, tzinfo=UTC)  # noqa: S311 - no secret
    with path.open("w", encoding="utf-8") as file:
        for number in range(_LINES // 5):
            at += timedelta(seconds=chance.randrange(3))
            file.write(_ATTEMPT.format(t=f"{at:%b %d %H:%M:%S}", n=number % 60000 + 1, ip=_address(chance)))


def _nginx(path: Path) -> None:
    chance, at = random.Random(2), datetime(2025, 12, 10, tzinfo=UTC)  # noqa: S311 - no secret
    targets = ("/item/{}", "/search?q=caf%C3%A9+{}&page=2", "/", "/api/v1/x?id={}%27%20or%201=1--", "/a.css", "/b.js")
    with path.open("w", encoding="utf-8") as file:
        for number in range(_LINES):
            at += timedelta(seconds=chance.randrange(2))
            target = chance.choices(targets, (20, 10, 30, 1, 20, 19))[0].format(number)
            status = chance.choices((200, 404, 401, 429), (90, 6, 2, 2))[0]
            stamp = f"{at:%d/%b/%Y:%H:%M:%S} +0000"
            file.write(_ENTRY.format(ip=_address(chance), t=stamp, target=target, status=status, n=number % 300))

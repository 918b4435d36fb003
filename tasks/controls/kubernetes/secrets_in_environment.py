"""No secret stands in a manifest."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tasks.controls.kubernetes.cases import a_pod, control
from tasks.controls.kubernetes.reading import Manifests
from tasks.controls.kubernetes.resources import Container, mappings, over_containers
from tasks.core.control import Judgement, Severity

_NAME = re.compile(
    r"(?:^|[_.-])(?:PASS(?:WORD|WD|PHRASE)?|PWD|SECRET|TOKEN|CREDENTIALS?|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY|AUTH_?KEY|"
    r"ENCRYPTION_?KEY|SIGNING_?KEY|SECRET_?KEY(?:_BASE)?|CONNECTION_?STRING)(?:_?[0-9])?$",
    re.IGNORECASE,
)
_RUN_TOGETHER = re.compile(
    r"(?:password|passwd|passphrase|secret|apikey|accesskey|secretkey|privatekey|authtoken)$", re.IGNORECASE
)
_VALUE = re.compile(
    r"\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@]*:[^\s/@$({][^\s/@]*@|-----BEGIN [A-Z ]*PRIVATE KEY"
    r"|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"
    r"|\bgh[pousr]_[0-9A-Za-z]{36}|\bxox[abprs]-[0-9A-Za-z-]{10,}|\bsk_live_[0-9A-Za-z]{16,}|\bAIza[0-9A-Za-z_-]{35}\b"
    r"|\beyJ[0-9A-Za-z_-]{10,}\.eyJ[0-9A-Za-z_-]{10,}\.[0-9A-Za-z_-]+"
)
_ELSEWHERE = re.compile(
    r"^(?:\$\(.*\)|\$\{.*\}|<.*>|\{\{.*\}\}|/.*|true|false|yes|no|none|null|\d{1,2}|)$", re.IGNORECASE | re.DOTALL
)


def _check(container: Container) -> Iterator[tuple[str, int]]:
    for variable in mappings(container.data, "env"):
        name, value = str(variable.get("name", "")), variable.get("value")
        if value is None or _ELSEWHERE.match(str(value)):
            continue
        named = _NAME.search(name) or _RUN_TOGETHER.search(name)
        if named or _VALUE.search(str(value)):
            yield f"the value of {name} is written into the manifest", variable.lines["value"]


def judge(facts: Manifests) -> Judgement:
    """Judge every container."""
    return over_containers(facts.resources, _check)


CONTROL = control(
    "secrets-in-environment",
    "No secret stands in the environment of a manifest",
    proves="No variable that is named or looks like a secret has its value in the manifest.",
    severity=Severity.HIGH,
    remedy="Keep it in a Secret and refer to it by `valueFrom.secretKeyRef`; change the secret, as it was told.",
    cis=("5.4.1",),
    judge=judge,
    bad=a_pod(container="env: [{name: DB_PASSWORD, value: hunter2}]"),
    also={"ISO 27001:2022": ("A.5.17", "A.8.24")},
)

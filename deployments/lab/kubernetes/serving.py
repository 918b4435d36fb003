"""Putting a cluster on its ports: the seeds, the kubeconfig, and the control port that plays faults."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import yaml

from deployments.lab.kubernetes import faults
from deployments.lab.kubernetes.cluster import Cluster
from deployments.lab.kubernetes.seeds import SEEDS, plant
from deployments.lab.log_lines import TROUBLES
from deployments.lab.loopback import Answer, Request


@dataclass(frozen=True)
class Settings:
    """Where one cluster listens, who may come, and where its kubeconfig is written."""

    port: int
    control: int
    token: str
    kubeconfig: str


def open_cluster(platform: str, token: str) -> Cluster:
    """Make a platform's cluster with its seeds, at rest."""
    cluster = Cluster.for_admin(platform, token)
    plant(cluster, SEEDS[platform])
    return cluster


def kubeconfig(path: Path, cluster: Cluster, port: int, token: str) -> None:
    """Write the file by which clients find the cluster, for its owner's eyes only."""
    name = cluster.name
    context = {"cluster": name, "user": name, "namespace": SEEDS[name].namespace}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "clusters": [{"name": name, "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": name, "user": {"token": token}}],
        "contexts": [{"name": name, "context": context}],
    }
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        yaml.safe_dump(config, file)


def control(cluster: Cluster, request: Request) -> Answer:
    """Answer the control port: `GET /faults`, `POST /faults {"target": ..., "fault": NAME or null}`."""
    answer = {"/faults": _faults, "/log-faults": _log_faults}.get(request.path)
    return answer(cluster, request) if answer else Answer.of({"error": "there is only /faults"}, 404)


def _faults(cluster: Cluster, request: Request) -> Answer:
    if request.method == "GET":
        return Answer.of({"faults": sorted(faults.FAULTS)})
    try:
        asked = json.loads(request.body)
        platform, fault = str(asked["target"]).partition("/")[0], asked["fault"]
    except (ValueError, KeyError, TypeError):
        return Answer.of({"error": 'write {"target": "platform/system", "fault": "name"} or null'}, 400)
    if platform != cluster.name:
        return Answer.of({"error": f"this is the cluster of {cluster.name}"}, 404)
    if fault is None:
        faults.mend(cluster)
    elif fault in faults.FAULTS:
        faults.play(cluster, fault)
    else:
        return Answer.of({"error": f"no such fault; there are {', '.join(sorted(faults.FAULTS))}"}, 400)
    return Answer.of({"target": asked["target"], "fault": fault})


def _log_faults(cluster: Cluster, request: Request) -> Answer:
    """Let pods write of a trouble: `POST /log-faults {"fault": NAME or null}`."""
    try:
        fault = request.json()["fault"]
    except (ValueError, KeyError, TypeError):
        return Answer.of({"error": 'write {"fault": "name"} or null'}, 400)
    if fault is not None and fault not in TROUBLES:
        return Answer.of({"error": f"no such fault; there are {', '.join(sorted(TROUBLES))}"}, 400)
    faults.write_logs(cluster, fault)
    return Answer.of({"fault": fault})

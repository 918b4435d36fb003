"""`python -m deployments.lab.kubernetes --config FILE.json`: several clusters in one process, until SIGTERM."""

from __future__ import annotations

import argparse
import functools
import json
import signal
from pathlib import Path

from deployments.lab.kubernetes.api import handle
from deployments.lab.kubernetes.serving import Settings, control, kubeconfig, open_cluster
from deployments.lab.loopback import Listeners


def main() -> None:
    """Serve every cluster of the configuration."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, required=True)
    settings = json.loads(parser.parse_args().config.read_text(encoding="utf-8"))
    listeners = Listeners()
    clusters = []
    for platform, given in settings["clusters"].items():
        own = Settings(**given)
        cluster = open_cluster(platform, own.token)
        clusters.append(cluster)
        port = listeners.add(own.port, functools.partial(handle, cluster))
        listeners.add(own.control, functools.partial(control, cluster))
        kubeconfig(Path(own.kubeconfig), cluster, port, own.token)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: listeners.stop())
    for cluster in clusters:
        cluster.start()
    listeners.run()
    for cluster in clusters:
        cluster.stop()


if __name__ == "__main__":
    main()

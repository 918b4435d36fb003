"""`python -m deployments.lab.stage --config FILE.json`: play the services until SIGTERM."""

from __future__ import annotations

import argparse
import json
import signal
import threading
from pathlib import Path

from deployments.lab.stage.business import go_on
from deployments.lab.stage.stage import Stage
from deployments.lab.stage.stores import warm_up


def main() -> None:
    """Read the configuration and serve."""
    parser = argparse.ArgumentParser(description="The platforms' HTTP services on loopback.")
    parser.add_argument("--config", type=Path, required=True, help="JSON: environment, services, tls, control")
    config = json.loads(parser.parse_args().config.read_text(encoding="utf-8"))
    stage, ended = Stage(config), threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stage.stop())
    signal.signal(signal.SIGINT, lambda *_: stage.stop())
    threading.Thread(target=warm_up, name="warm-up", daemon=True).start()
    values = config.get("environment", {})
    threading.Thread(target=go_on, args=(values, ended), name="business", daemon=True).start()
    threading.Thread(target=stage.keep_clean, args=(ended,), name="cleaner", daemon=True).start()
    stage.run()
    ended.set()


if __name__ == "__main__":
    main()

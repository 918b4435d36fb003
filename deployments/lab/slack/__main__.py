"""`python -m deployments.lab.slack --config FILE.json`: serve the stand-in until SIGTERM."""

from __future__ import annotations

import argparse
import json
import signal
from pathlib import Path

from deployments.lab.slack.server import SlackStandIn

_OPTIONS = ("tokens", "channels", "webhooks")


def main() -> None:
    """Read the configuration, `{"port", "state"}` and optionally `tokens`, `channels`, `webhooks`, and serve."""
    parser = argparse.ArgumentParser(description="A stand-in for Slack on loopback.")
    parser.add_argument("--config", type=Path, required=True, help="JSON: port, state, [tokens, channels, webhooks]")
    config = json.loads(parser.parse_args().config.read_text(encoding="utf-8"))
    options = {name: config[name] for name in _OPTIONS if name in config}
    stand_in = SlackStandIn(Path(config["state"]), config["port"], **options)
    signal.signal(signal.SIGTERM, lambda *_: stand_in.stop())
    signal.signal(signal.SIGINT, lambda *_: stand_in.stop())
    stand_in.run()


if __name__ == "__main__":
    main()

"""`python -m deployments.lab.docker --config FILE.json`: an engine for each platform in one process, until SIGTERM."""

from __future__ import annotations

import argparse
import functools
import json
import signal
from pathlib import Path

from deployments.lab.docker.api import control, handle
from deployments.lab.docker.project import Project
from deployments.lab.loopback import Listeners


def main() -> None:
    """Serve every engine of the configuration."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="JSON: engines by target")
    settings = json.loads(parser.parse_args().config.read_text(encoding="utf-8"))
    listeners = Listeners()
    for given in settings["engines"].values():
        project = Project(given["project"], given["services"])
        listeners.add(given["port"], functools.partial(handle, project))
        listeners.add(given["control"], functools.partial(control, project))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: listeners.stop())
    listeners.run()


if __name__ == "__main__":
    main()

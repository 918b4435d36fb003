"""Puts into a Prefect server what the flows need there: the work pool, locks, and every deployment of prefect.yaml.

    python -m deployments.bootstrap                        # a process pool, for a worker on this machine
    python -m deployments.bootstrap --pool kubernetes --image registry.example.com/watchkeeper:1 --home /opt/watchkeeper

It may run again at any time: what is there is brought up to date.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import httpx
from prefect.cli import app
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.workers.process import ProcessWorker

from tasks.core.errors import ConfigError
from tasks.locks import lock_names
from tasks.platforms import load, platform_names

POOL = "watchkeeper"
_ROOT = Path(__file__).resolve().parents[1]
_KUBERNETES = Path(__file__).parent / "kubernetes" / "job-template.json"


def main() -> None:
    """Wait for the server, then make the pool and apply prefect.yaml."""
    parser = argparse.ArgumentParser(description="Put the work pool and the deployments into a Prefect server.")
    parser.add_argument("--pool", choices=("process", "kubernetes"), default="process", help="the work pool's type")
    parser.add_argument("--home", default=str(_ROOT), help="where the source tree is for those who run the flows")
    parser.add_argument("--image", help="the image of a Kubernetes pool's jobs")
    parser.add_argument("--environment", help="environment of every run, as JSON. No secrets.")
    parser.add_argument("--command", help="what a process pool starts for a run, where it is not Prefect's own")
    parser.add_argument("--wait", type=float, default=60, help="seconds to wait for the server")
    given = parser.parse_args()
    template = job_template(given.pool, json.loads(given.environment or "{}"), image=given.image, command=given.command)
    asyncio.run(bootstrap(given.pool, template, wait=given.wait))
    deploy(given.home)


async def bootstrap(kind: str, template: dict[str, Any], *, wait: float) -> None:
    """Make the work pool, or bring it up to date.

    Args:
        kind: `process` or `kubernetes`.
        template: The pool's job template.
        wait: Seconds to wait for the server.
    """
    async with get_client() as client:
        deadline = time.monotonic() + wait
        while error := await client.api_healthcheck():
            if time.monotonic() > deadline:
                raise SystemExit(f"the Prefect server does not answer: {error}")
            await asyncio.sleep(0.2)
        await client.create_work_pool(WorkPoolCreate(name=POOL, type=kind, base_job_template=template), overwrite=True)
        for name in locks():
            await client.upsert_global_concurrency_limit_by_name(name, 1)


def locks() -> list[str]:
    """Return the global concurrency limits that the flows ask for; a spec that cannot be read adds none."""
    names: list[str] = []
    for platform in platform_names():
        with contextlib.suppress(ConfigError):
            names += lock_names(load(platform))
    return names


def job_template(
    kind: str, environment: dict[str, str], *, image: str | None = None, command: str | None = None
) -> dict[str, Any]:
    """Return the pool's job template with the defaults that every run takes.

    Args:
        kind: `process` or `kubernetes`.
        environment: Set for every run; shown in the Prefect UI, so without secrets.
        image: The image of a Kubernetes pool's jobs.
        command: What starts a run; Prefect's own where there is none.
    """
    if kind == "process":
        template: dict[str, Any] = ProcessWorker.get_default_base_job_template()
    else:
        template = json.loads(_KUBERNETES.read_text(encoding="utf-8"))
    properties = template["variables"]["properties"]
    if environment:
        properties["env"]["default"] = environment
    if image:
        properties["image"]["default"] = image
    if command:
        properties["command"]["default"] = command
    return template


def deploy(home: str) -> None:
    """Apply prefect.yaml. A flow that cannot be imported is left to the tests: Prefect does not notice it."""
    os.environ["WATCHKEEPER_HOME"] = home
    os.chdir(_ROOT)
    sys.argv = ["prefect", "--no-prompt", "deploy", "--all"]
    try:
        app()
    except SystemExit as end:
        if end.code:
            raise


if __name__ == "__main__":
    try:
        main()
    except httpx.HTTPError as failure:
        raise SystemExit(f"the Prefect server refused: {failure}") from None

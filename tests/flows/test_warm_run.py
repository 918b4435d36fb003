"""A flow run through the warm runner, on a real Prefect API: it ends there as any other run does."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client

from deployments import warm
from flows.health_check import health_check
from tests.flows.conftest import reports
from tests.flows.test_warm import until

ROOT = Path(__file__).parents[2]

pytestmark = [
    pytest.mark.prefect,
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),  # Prefect's own connections to its server
]


@pytest.fixture
def warm_runner(tmp_path):
    path = tmp_path / "runner.sock"
    with subprocess.Popen([sys.executable, "-m", "deployments.runner", str(path)], cwd=ROOT) as process:  # noqa: S603 - ours
        until(path.is_socket, 120)
        yield path
        process.terminate()
        process.wait(60)


@pytest.mark.usefixtures("tiny")
async def test_a_run_through_the_warm_runner_completes_with_the_settings_of_who_asked(
    place, prefect_api, warm_runner, service
):
    service.status = 503
    async with get_client() as client:
        run = await client.create_flow_run(health_check, parameters={"platform": "tiny", "tell": False})
        environment = {
            **os.environ,
            warm.RUNNER: str(warm_runner),
            "PREFECT_API_URL": prefect_api,
            "PREFECT__FLOW_RUN_ID": str(run.id),
            "PREFECT__FLOW_ENTRYPOINT": f"{ROOT / 'flows' / 'health_check.py'}:health_check",
        }
        done = subprocess.run(  # noqa: ASYNC221 - nothing else is to happen meanwhile
            [sys.executable, "-m", "deployments.warm"], cwd=place, env=environment, timeout=120, check=False
        )
        state = (await client.read_flow_run(run.id)).state
    assert (state.type.value, done.returncode) == ("FAILED", 0)
    assert "503" in state.message
    assert reports(place)[0]["verdict"] == "failed"

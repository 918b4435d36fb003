"""How quickly the command answers, against a bare Python that imports click."""

from __future__ import annotations

import subprocess
import sys

from tests.bench.figures import Figure, ratio

_BARE = "import click; click.Group(name='x', help='x').main(['--help'])"
_HELP = "import sys; sys.argv = ['watchkeeper', '--help']; from deployments.cli import main; main()"


def run() -> dict[str, Figure]:
    """Time `watchkeeper --help` as a whole process."""
    value = ratio(lambda: _python(_HELP), lambda: _python(_BARE))
    return {"help": Figure(value, 1.5, "a bare click group's --help")}


def _python(code: str) -> None:
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)

"""`python -m tests.bench [NAME]`: run one benchmark, or all; print a table and write `build/bench/NAME.json`."""

from __future__ import annotations

import importlib
import json
import pkgutil
import sys
from pathlib import Path

from tests import bench

_OUT = Path("build/bench")


def main(names: list[str]) -> int:
    """Run the benchmarks of these names; return 1 if a bound does not hold."""
    known = [m.name.removeprefix("bench_") for m in pkgutil.iter_modules(bench.__path__) if m.name.startswith("bench_")]
    if unknown := sorted(set(names) - set(known)):
        print(f"no benchmark is called {', '.join(unknown)}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    _OUT.mkdir(parents=True, exist_ok=True)
    good = True
    for name in names or known:
        figures = importlib.import_module(f"tests.bench.bench_{name}").run()
        for figure, result in figures.items():
            good &= result.holds
            mark = "holds" if result.holds else "DOES NOT HOLD"
            print(
                f"{name:<10} {figure:<28} {result.value:>7.2f}  <= {result.bound:<6g} {mark}  against {result.against}"
            )
        text = json.dumps({figure: result.as_dict() for figure, result in figures.items()}, indent=2)
        (_OUT / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

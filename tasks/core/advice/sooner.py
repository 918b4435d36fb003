"""What is reached sooner with more traffic: of measurements that follow it, as far as their names tell."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta

import numpy as np

from tasks.core.capacity import History
from tasks.core.outlooks import look_ahead
from tasks.core.units import Unit

_NAMED = 5
_SAME_ENDS = re.compile(r" \((.+) to \1\)")
_GROWTH = re.compile(r"disk|inode|stor|size|bucket|objects|^used$|growth")
_LOAD = re.compile(
    r"cpu|load|wanted|replicas|rate|request|connections|clients|pool|depth|queue|backlog|received|sent|throughput"
)


def follows_traffic(history: History) -> str:
    """Tell how a measurement follows traffic: `load` with it, `growth` grows with it, or an empty text: not known."""
    name = history.key.partition("[")[0].rpartition("/")[2]
    if _GROWTH.search(name):
        return "growth"
    return "load" if history.unit is Unit.RATE or _LOAD.search(name) else ""


def earlier(histories: Sequence[History], factor: float, horizon: timedelta) -> Iterator[str]:
    """Yield each bound that is reached at another time, with the time as it is."""
    for history in histories:
        how = follows_traffic(history)
        if not how or history.trouble or not history.thresholds or not len(history.values):
            continue
        last = history.values[int(np.argmax(history.times))]
        values = history.values * factor if how == "load" else last + (history.values - last) * factor
        was, then = (
            look_ahead(one, horizon, drawn=False).pressing for one in (history, replace(history, values=values))
        )
        if then is not None and then.state != "not within the horizon" and (was is None or was.text != then.text):
            before = f" (as it is: {_plain(was.text)})" if was is not None else ""
            yield f"{history.name or history.key} reaches {then.limit}: {_plain(then.text)}{before}"


def _plain(text: str) -> str:
    """Leave out an interval whose ends read the same."""
    return _SAME_ENDS.sub("", text)


def unknown_of_histories(histories: Sequence[History]) -> Iterator[str]:
    """Yield the measurements of which it is not known how they follow traffic."""
    blank = sorted({one.name or one.key for one in histories if one.thresholds and not follows_traffic(one)})
    if blank:
        shown = ", ".join(blank[:_NAMED]) + (f" and {len(blank) - _NAMED} more" if len(blank) > _NAMED else "")
        yield f"how these follow traffic: {shown}"

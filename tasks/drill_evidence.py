"""What an auditor needs to check a drill, in one file beside its report. Without Prefect."""

from __future__ import annotations

from tasks.core.bundle import pack
from tasks.core.drill import Drill
from tasks.drilling import Drilling
from tasks.inspections import report_store
from tasks.reports import bulletin_html, drills


def bundle(drilling: Drilling, drill: Drill) -> bytes:
    """Return what an auditor needs to check a drill: the result, its page, the manifests, the steps, and all hashes."""
    told = drills.bulletin(drill)
    steps = "\n".join([*drilling.steps, ""])
    files = {
        "drill.json": drill.model_dump_json(indent=2).encode(),
        "report.html": bulletin_html.render(told).encode(),
        "steps.txt": steps.encode(),
        **{picture.name: picture.light for picture in told.pictures},
        **drilling.manifests,
    }
    return pack(files, drill.finished)


def keep_bundle(drilling: Drilling, drill: Drill) -> str:
    """Keep the bundle beside the drill's report, and return where a person finds it.

    Raises:
        WatchkeeperError: The store refuses, or does not answer.
    """
    store = report_store(drilling.settings)
    return store.put(f"{drill.platform}/{drill.flow}/{drill.id}.zip", bundle(drilling, drill))

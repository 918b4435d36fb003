"""The JSON Schema of a report, for whoever reads the JSON that `watchkeeper check --json` and the store hold."""

from __future__ import annotations

import json

from tasks.core.report import Report


def report_schema() -> str:
    """Return the schema of a report as it is written, verdict included, as text that ends with a newline."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Report.model_json_schema(mode="serialization"),
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"

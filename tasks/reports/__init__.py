"""Pure renderers of a report: Slack, markdown, HTML, a chart, a terminal. No input, no output, no clock."""

"""A stand-in for Slack on loopback, as strict as Slack's documentation, with a page that shows what people see."""

from deployments.lab.slack.server import SlackStandIn

__all__ = ["SlackStandIn"]

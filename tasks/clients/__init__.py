"""Edges shared by several kinds: S3, HTTP, subprocess, Slack, secrets. Each maps its library's errors in one table."""

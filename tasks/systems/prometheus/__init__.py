"""Prometheus and what speaks its query API: objectives as PromQL."""

"""Kubernetes: the workloads of one namespace, and the nodes below them."""

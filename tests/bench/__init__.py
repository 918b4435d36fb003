"""Benchmarks: ratios against a rival run side by side, never absolute times."""

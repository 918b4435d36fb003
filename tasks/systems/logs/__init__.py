"""Logs: of pods, of Compose services, of files."""

"""Folders and files of this machine: configuration, uploads, logs."""

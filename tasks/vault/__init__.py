"""Where backups live: layout, streams, keys, and what holds of them. `docs/vault-format.md` is the format."""

"""Controls over a platform: judged by its health checks, vaults, drills and ledger, and by what people state."""

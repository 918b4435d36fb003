"""The procedures, as an operator says them: one flow per file, the order of steps only."""

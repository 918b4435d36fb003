"""The pure heart: spec, units, results, judging. No driver, no HTTP, no clock of its own."""

"""HTTP services: what they answer, and how fast."""

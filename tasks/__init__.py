"""The steps: Prefect tasks at the top, and below them everything Watchkeeper knows of the systems it looks after."""

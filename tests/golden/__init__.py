"""Golden files, and the reports that they are made from."""

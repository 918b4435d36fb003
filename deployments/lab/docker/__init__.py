"""A stand-in of the Docker Engine: no engine can be had as a package. It answers as the Engine API documents."""

"""TLS endpoints: whether their certificate is trusted, names them, and lasts."""

"""A small, strict stand-in for a Kubernetes 1.36 control plane: as much of it as Watchkeeper talks to.

It exists because no API server can be had from the package registries. It follows the documented answers of the real
one: what is absent here is refused (404), never accepted silently.
"""

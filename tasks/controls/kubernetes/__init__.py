"""Controls over Kubernetes manifests: as files before they are deployed, or as an API server hands them out."""

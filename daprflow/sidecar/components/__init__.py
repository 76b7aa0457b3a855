"""One module for each component type of the embedded sidecar."""

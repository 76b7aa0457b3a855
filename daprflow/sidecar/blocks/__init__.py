"""One module for each building block of the embedded sidecar."""

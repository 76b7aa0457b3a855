"""How the embedded sidecar calls an app."""

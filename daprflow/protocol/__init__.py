"""Every shape that crosses the wire between an app and its sidecar, once."""

"""The app as its sidecar sees it: what is asked of it, over HTTP or gRPC."""

"""The embedded sidecar: Dapr's API in one Python process, for development and tests."""

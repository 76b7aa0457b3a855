"""Dapr's HTTP API in front of a runtime."""

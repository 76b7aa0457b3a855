"""Servers that are measured side by side."""

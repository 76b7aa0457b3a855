"""The comparison: daprflow and its peers side by side, each in an environment of its own."""

"""Actors in the embedded sidecar: where they are, whose turn it is, and what wakes them."""

"""A project of this kind, as it is written for its user."""

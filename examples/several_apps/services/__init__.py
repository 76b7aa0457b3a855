"""Three services that run together."""

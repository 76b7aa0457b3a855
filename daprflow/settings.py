"""Settings of the app side, read from an environment mapping on request, never at import."""

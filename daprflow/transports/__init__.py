"""The byte carriers: ASGI routes, the HTTP server, the client connection."""

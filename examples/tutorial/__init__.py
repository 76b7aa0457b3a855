"""The service of the tutorial, page by page."""

"""The service, as it is at the end of a page of the tutorial."""

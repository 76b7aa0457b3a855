"""What ``daprflow new`` makes projects of: the files, and what puts a name into them."""

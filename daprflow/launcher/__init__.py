"""Starting and ending sidecars and apps."""

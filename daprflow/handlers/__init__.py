"""From a decorated function to a compiled handler."""

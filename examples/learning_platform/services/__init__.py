"""The nine services of a learning platform."""

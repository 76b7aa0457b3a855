"""What a sidecar tells about itself: spans of its own, and metrics under the real one's names."""

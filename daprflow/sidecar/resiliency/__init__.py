"""Resiliency: timeouts, retries and circuit breakers of calls in both directions."""

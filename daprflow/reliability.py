"""What makes handlers bear load and repetition: limits, and events that are handled once."""

from daprflow.handlers.limits import Concurrency, HandlerLoad
from daprflow.handlers.once import Once

__all__ = ["Concurrency", "HandlerLoad", "Once"]

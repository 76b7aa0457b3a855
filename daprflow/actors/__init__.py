"""Virtual actors: typed state, turns that are transactions, reminders and timers, proxies."""

from daprflow.actors.actor import Actor, ActorInterface, actor_method
from daprflow.actors.part import Part

__all__ = ["Actor", "ActorInterface", "Part", "actor_method"]

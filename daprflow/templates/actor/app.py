"""Each customer has a cart, an actor: its state is its own, and one call runs at a time."""

from datetime import timedelta

import msgspec

from daprflow import Actor, Client, DaprFlow
from daprflow.components import RedisState


class Items(msgspec.Struct):
    """What a cart keeps."""

    skus: list[str] = []


app = DaprFlow("starter")

# 'daprflow run' has a state store of its own. Actors need one that is marked.
app.component(RedisState("statestore", redis_host="redis:6379", actor_state_store=True), env="prod")


@app.actor(idle=timedelta(minutes=10))
class Cart(Actor[Items]):
    """The cart of one customer; it empties itself when it is forgotten."""

    async def add(self, sku: str) -> int:
        """Put something in; return how many things there are."""
        self.state.skus.append(sku)
        await self.remind(self.forget, due=timedelta(hours=1))
        return len(self.state.skus)

    async def count(self) -> int:
        """Return how many things there are."""
        return len(self.state.skus)

    async def forget(self) -> None:
        """Empty it, an hour after the last thing was put in."""
        self.state.skus.clear()


@app.invoke
async def count(customer: str, *, client: Client) -> int:
    """Return how many things are in a customer's cart."""
    return await client.actor(Cart, customer).count()

"""Carts that empty themselves, accounts that never go below zero, and a meter of another team."""

from datetime import timedelta

import msgspec

from daprflow import Actor, ActorError, ActorInterface, Client, DaprFlow, Part, StopReminder

app = DaprFlow("actors-example")


# --8<-- [start:cart]
class Cart(msgspec.Struct):
    items: list[str] = []


@app.actor(idle=timedelta(minutes=10))
class CartActor(Actor[Cart]):
    async def add(self, sku: str, count: int = 1) -> int:
        self.state.items += [sku] * count
        await self.remind(self.expire, "forgotten", due=timedelta(hours=1))
        return len(self.state.items)

    async def items(self) -> list[str]:
        return self.state.items

    async def pay(self) -> int:
        if not self.state.items:
            raise EmptyCartError("there is nothing to pay for")
        paid = len(self.state.items)
        self.state.items.clear()
        await self.unremind(self.expire)
        return paid

    async def expire(self, reason: str) -> None:
        self.state = Cart()


class EmptyCartError(Exception):
    """A cart is empty."""


# --8<-- [end:cart]


# --8<-- [start:call]
@app.invoke
async def check_out(customer: str, *, client: Client) -> str:
    cart = client.actor(CartActor, customer)
    try:
        return f"{await cart.pay()} paid"
    except ActorError as error:
        if error.type == "EmptyCartError":
            return error.message
        raise


# --8<-- [end:call]


# --8<-- [start:account]
class Account(msgspec.Struct):
    balance: int = 0


class Login(msgspec.Struct):
    device: str = ""


@app.actor(reentrant=True)
class AccountActor(Actor[Account]):
    login = Part(Login, ttl=timedelta(minutes=30))

    def __init__(self, client: Client) -> None:
        self.client = client

    async def log_in(self, device: str) -> None:
        self.login.device = device

    async def device(self) -> str:
        return self.login.device

    async def deposit(self, amount: int) -> int:
        self.state.balance += amount
        if self.state.balance < 0:
            raise ValueError("the account would be overdrawn")  # and the balance stays as it was
        return self.state.balance

    async def move(self, amount: int, to: str) -> int:
        await self.deposit(-amount)
        await self.client.actor(AccountActor, to).deposit(amount)
        return self.state.balance


# --8<-- [end:account]


# --8<-- [start:pump]
@app.actor
class PumpActor(Actor[int]):
    async def start(self, strokes: int) -> None:
        await self.set_timer(self.stroke, strokes, every=timedelta(seconds=1))

    async def stroke(self, strokes: int) -> None:
        self.state += 1
        print(f"stroke {self.state}")
        if self.state >= strokes:
            raise StopReminder  # the last one, which counts

    async def strokes(self) -> int:
        return self.state


# --8<-- [end:pump]


# --8<-- [start:others]
class Meter(ActorInterface, actor_type="MeterActor"):
    async def read(self, unit: str) -> float:
        raise NotImplementedError


@app.invoke
async def reading(house: str, *, client: Client) -> float:
    typed = await client.actor(Meter, house).read("kWh")
    named = await client.actor("MeterActor", house).invoke("read", "kWh", returns=float)
    return max(typed, named)


# --8<-- [end:others]

import msgspec

from daprflow import SidecarUnavailable, SyncClient, Topic


class Order(msgspec.Struct):
    id: str
    customer: str


orders = Topic("pubsub", "orders", Order)


def main() -> None:
    """Publish an order from a script, which has no event loop."""
    try:
        with SyncClient() as client:
            client.publish(orders, Order("o1", "ann"), subject="o1")
            print(client.run(lambda c: c.metadata()).id)
    except SidecarUnavailable as error:
        print(error)  # it says where it looked, and what to start


if __name__ == "__main__":
    main()

"""The client's way to locks."""

from datetime import timedelta

from daprflow.client.base import BaseClient
from daprflow.client.locks import Lock

EXPIRY = timedelta(seconds=30)


class Locking(BaseClient):
    """Locks, as a part of the client."""

    def lock(
        self,
        store: str,
        resource: str,
        /,
        *,
        expiry: timedelta = EXPIRY,
        owner: str | None = None,
        wait: timedelta | None = None,
        renew: bool = False,
    ) -> Lock:
        """Return a lock for ``async with client.lock("lockstore", "invoice-7") as held:``.

        A lock ends by itself after ``expiry``: its holder may have died. So that no two are in the
        block, the block is cancelled a little before (a tenth of the time, two seconds at most) and
        `LockLost` is raised; ``held.remaining`` says how long there is. Code that blocks the event
        loop cannot be cancelled; it learns of the loss at the end of the block.

        The runtime's API has no way to make a lock last longer: taking it again is refused to
        everybody, its holder included, and between giving it back and taking it anew somebody else
        may come. With ``renew`` the lock therefore consists of two, the resource and one named
        ``<resource>#2``. Who has both may enter; they are given back and taken anew in turns, so
        that one of them is held at every moment. This keeps out everybody who takes the lock with
        ``renew``, too, and only those: use it for a resource everywhere or nowhere.

        Args:
            store: the component's name.
            resource: what is locked; the runtime puts the app's id before it unless the component
                says otherwise, so that by default the replicas of one app exclude each other.
            expiry: how long the lock lasts without its holder; rounded up to whole seconds.
            owner: the holder's name, by default one that nobody else has. Nobody who uses the same
                one gets in beside it, but could give it back.
            wait: how long to try when somebody has the lock; None tries once.
            renew: keep the lock for as long as the block takes.

        Raises:
            LockTaken: on entering: somebody else has it, and no time to wait is left.
            LockLost: on leaving: the lock ended before the block did.
            SidecarError: on entering: there is no such store, or the sidecar did not answer.

        Example:
            ```python
            async with client.lock("lockstore", "invoice-7", wait=timedelta(seconds=5)) as held:
                print("mine as", held.owner)
            ```
        """
        return Lock(
            self._caller,
            store,
            resource,
            expiry=expiry,
            owner=owner,
            wait=wait,
            renew=renew,
        )

"""What the owner of a helper may ask of it: links for people, who is served, and how it does."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from postroad.base import limits
from postroad.base.errors import PermanentFailure, TemporaryFailure
from postroad.base.ids import Contact, Instant, Ticket
from postroad.base.seams import Clock, Entropy
from postroad.protocol.helping import HelperLink, to_link
from postroad.store import held, invitations, people, standing
from postroad.store.database import Database, Sql

log = logging.getLogger(__name__)
Reply = dict[str, Any]


class HelperDesk:
    """`questions` are for `doors.control`. `where_i_am`: the helper as its links name it. `removed`
    hears that somebody is served no more, who may be at the relay."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        entropy: Entropy,
        where_i_am: Callable[[], Contact],
        facts: Callable[[], Reply],
        removed: Callable[[], None],
    ) -> None:
        self._database = database
        self._clock = clock
        self._entropy = entropy
        self._where_i_am = where_i_am
        self._facts = facts
        self._removed = removed
        self.questions = {
            "status": self._status,
            "invite": self._invite,
            "people": self._people,
            "remove": self._remove,
        }

    async def _invite(self, _: Mapping[str, Any]) -> Reply:
        contact = self._where_i_am()
        if not contact.addresses:
            raise TemporaryFailure(
                "This helper knows no address of its own that others could reach. Start it with "
                "--address and the address by which the internet knows this box."
            )
        secret, ticket = self._entropy.token(16), Ticket(self._entropy.token(16))
        now = self._clock.now()
        expires = Instant(now + limits.INVITATION_SECONDS_DEFAULT)
        await self._database.run(lambda sql: invitations.add(sql, secret, ticket, now, expires))
        return {"link": to_link(HelperLink(secret, int(expires), contact)), "expires": expires}

    async def _people(self, _: Mapping[str, Any]) -> Reply:
        def work(sql: Sql) -> list[Reply]:
            return [
                {
                    "name": person.name,
                    "address": person.address,
                    "seen_at": person.seen_at,
                    "letters_held": held.lying_for(sql, person.fingerprint),
                }
                for person in people.contacts(sql)
                if not person.blocked
            ]

        return {"people": await self._database.read(work)}

    async def _remove(self, request: Mapping[str, Any]) -> Reply:
        name = str(request.get("name", ""))

        def work(sql: Sql) -> str:
            found = [
                person
                for person in people.contacts(sql)
                if name in (person.name, person.address) and not person.blocked
            ]
            if len(found) != 1:
                count = "nobody" if not found else "several people"
                raise PermanentFailure(
                    f"This helper serves {count} called {name!r}. See: postroad helper people"
                )
            standing.block(sql, found[0].fingerprint)
            return found[0].address

        address = await self._database.run(work)
        self._removed()
        return {"address": address}

    async def _status(self, _: Mapping[str, Any]) -> Reply:
        def work(sql: Sql) -> Reply:
            served = [person for person in people.contacts(sql) if not person.blocked]
            return {"people": len(served), "letters_held": held.lying(sql)}

        return {**self._facts(), **await self._database.read(work)}

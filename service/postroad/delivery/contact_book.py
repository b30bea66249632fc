"""What the owner decides about a contact: their name, that they are verified, or blocked.

Purpose: each decision is one commit, together with all that follows from it in the store; whoever
has to act on it (drops, holders, the queue, the relay) is woken after the commit.
Invariants: nothing here changes whose keys a contact's are: those are the contact. A contact is
found to be verified by the owner alone, never by anybody's word.
See: docs/adr/0014-contacts.md.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from postroad.base.errors import PermanentFailure
from postroad.base.ids import Instant
from postroad.base.seams import Clock
from postroad.protocol import safety_code
from postroad.protocol.delivery import Cancelled, advance
from postroad.protocol.safety_code import Comparison
from postroad.sealing.letter import Kind
from postroad.sealing.safety import Keys, safety_number
from postroad.store import audit, circle, held, invitations, people, queue, rented, standing
from postroad.store.database import Database, Sql
from postroad.store.invitations import InvitationRow, State
from postroad.store.keyring import OwnKeys
from postroad.store.people import Person

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Relations:
    """A contact, and what there is between us. `waiting`: letters of ours that are on the way to
    them; `holds_for_us`: also while another holder is looked for in their place."""

    person: Person
    since: Instant
    holds_for_us: bool
    we_hold_for_them: bool
    waiting: int


@dataclass(frozen=True, slots=True)
class Safety:
    """`number`: twelve groups of digits; `code`: what our QR says; `comparison`: of theirs."""

    person: Person
    number: tuple[str, ...]
    code: str
    comparison: Comparison | None


class ContactBook:
    """`on_change` is called when somebody was blocked or unblocked, or removed."""

    def __init__(
        self, database: Database, keyring: OwnKeys, clock: Clock, on_change: Callable[[], None]
    ) -> None:
        self._database = database
        self._keyring = keyring
        self._clock = clock
        self._on_change = on_change

    async def all(self) -> list[Person]:
        return await self._database.read(people.contacts)

    async def show(self, name: str) -> Relations:
        return await self._database.read(lambda sql: _relations(sql, people.called(sql, name)))

    async def rename(self, name: str, wanted: str) -> tuple[str, Person]:
        """What they were called before, and the contact as they are called now."""

        def work(sql: Sql) -> tuple[str, Person]:
            before = people.called(sql, name)
            standing.rename(sql, before.fingerprint, wanted)
            return before.name, people.called(sql, before.fingerprint)

        return await self._database.run(work)

    async def block(self, name: str) -> Relations:
        """Take nothing from them and do nothing for them, until `unblock`."""

        def work(sql: Sql) -> Relations:
            person = people.called(sql, name)
            standing.block(sql, person.fingerprint)
            if not person.blocked:
                self._note(sql, "contact blocked", person)
            return _relations(sql, person)

        return await self._database.run(work, then=self._changed("contact blocked"))

    async def unblock(self, name: str) -> Relations:
        """All is as before; what waited for them is due now."""

        named = await self._database.read(lambda sql: people.called(sql, name))
        now, whom = self._clock.now(), named.fingerprint
        await circle.expect_noted(self._database, now, whom, named.address)

        def work(sql: Sql) -> Relations:
            person = people.called(sql, name)
            if not person.blocked:
                raise PermanentFailure(f"{person.name} is not blocked.")
            circle.expect(sql, person.fingerprint, person.address)
            standing.unblock(sql, person.fingerprint)
            self._note(sql, "contact unblocked", person)
            queue.wake(sql, person.fingerprint, self._clock.now())
            return _relations(sql, person)

        return await self._database.run(work, then=self._changed("contact unblocked"))

    async def remove(self, name: str, *, cancel_letters: bool) -> Relations:
        """Have no more to do with them: they are as any stranger. Letters of ours that are on the
        way to them are cancelled with `cancel_letters`, else PermanentFailure says that there are
        some, and nothing is done."""

        def work(sql: Sql) -> Relations:
            now, person = self._clock.now(), people.called(sql, name)
            found = _relations(sql, person)
            if found.waiting and not cancel_letters:
                letters = "1 letter" if found.waiting == 1 else f"{found.waiting} letters"
                raise PermanentFailure(
                    f"{letters} of yours to {person.name} did not arrive yet (postroad queue). "
                    "Wait for that, or remove them with --cancel-letters."
                )
            for row in queue.waiting(sql):
                if row.fingerprint == person.fingerprint:
                    ended = advance(row.parcel, Cancelled(), now, 0.0)
                    queue.record(sql, row.id, ended.parcel, now)
            standing.remove(sql, person.fingerprint, now)
            self._note(sql, "contact removed", person)
            return found

        return await self._database.run(work, then=self._changed("contact removed"))

    async def invitations(self) -> list[tuple[InvitationRow, State, str | None]]:
        """All that the owner made and that are remembered, and what the user of each is called."""
        return await self._database.read(
            lambda sql: [self._with_state(sql, row) for row in invitations.all_made(sql)]
        )

    async def withdraw(self, wanted: str) -> tuple[InvitationRow, State, str | None]:
        """Withdraw an open invitation: who shows it from now on is told that it is over."""

        def work(sql: Sql) -> tuple[InvitationRow, State, str | None]:
            now = self._clock.now()
            row = invitations.withdraw(sql, wanted, now)
            audit.note(sql, now, "invitation withdrawn", id=row.id)
            return self._with_state(sql, replace(row, withdrawn_at=now))

        return await self._database.run(work, then=self._changed("invitation withdrawn"))

    def _with_state(self, sql: Sql, row: InvitationRow) -> tuple[InvitationRow, State, str | None]:
        used_by = row.used_by and people.contact(sql, row.used_by)
        name = used_by.name if used_by else row.used_by
        return row, row.state(self._clock.now()), name

    def _note(self, sql: Sql, event: str, person: Person) -> None:
        audit.note(sql, self._clock.now(), event, address=person.address)

    def _changed(self, what: str) -> Callable[[object], None]:
        def committed(_: object) -> None:
            log.info(what)
            self._on_change()

        return committed

    async def verify(self, name: str, shown: str | None, *, matches: bool) -> Safety:
        """The safety number with this contact, compared with what they showed (`shown`), if that is
        given; `matches`: the owner says that it is theirs, and what was shown does not contradict.

        PermanentFailure for something that is neither a code nor a number."""
        person = await self._database.read(lambda sql: people.called(sql, name))
        mine = Keys.of(self._keyring.certificate.statement)
        theirs = Keys.of(person.record.certificate.statement)
        number = await self._database.outside(partial(safety_number, mine, theirs))
        comparison = None
        if shown is not None:
            comparison = safety_code.compare(shown, mine, theirs, number)
        if matches and comparison in (None, Comparison.MATCHES):
            person = await self._set_verified(person, self._clock.now())
        return Safety(person, number, safety_code.code(mine, theirs), comparison)

    async def forget_verification(self, name: str) -> Person:
        person = await self._database.read(lambda sql: people.called(sql, name))
        return await self._set_verified(person, None)

    async def _set_verified(self, person: Person, at: Instant | None) -> Person:
        def work(sql: Sql) -> Person:
            standing.verify(sql, person.fingerprint, at)
            self._note(sql, "contact verified" if at else "contact unverified", person)
            return people.called(sql, person.fingerprint)

        done = await self._database.run(work)
        log.info("contact verified" if at else "contact's verification forgotten")
        return done


def _relations(sql: Sql, person: Person) -> Relations:
    drops = rented.my_drops(sql)
    return Relations(
        person,
        standing.since(sql, person.fingerprint),
        any(drop.is_ours and drop.fingerprint == person.fingerprint for drop in drops),
        held.newest_drop_of(sql, person.fingerprint) is not None,
        sum(
            row.fingerprint == person.fingerprint and row.kind is Kind.PERSON
            for row in queue.waiting(sql)
        ),
    )

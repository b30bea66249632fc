"""What an owner may ask about their contacts, and tell of them."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from postroad.base.errors import PermanentFailure
from postroad.delivery.contact_book import ContactBook, Relations
from postroad.message import cards
from postroad.message.cards import Card
from postroad.protocol.safety_code import Comparison
from postroad.store.invitations import InvitationRow, State
from postroad.store.people import Person

Reply = dict[str, Any]
Question = Callable[[dict[str, Any]], Awaitable[Reply]]
FORMATS = {"thunderbird": cards.ldif, "vcard": cards.vcards}
_WHAT_DIFFERS = {
    Comparison.OWN: (
        "This is the code that your own node shows. Scan theirs: on {name}'s computer, it is what "
        "postroad verify shows there with --qr."
    ),
    Comparison.SOMEBODY_ELSES: (
        "This is NOT {name}'s code: whoever shows it has other keys than the contact whom you call "
        "so. If it was {name} who showed it, somebody stands between you, or they set up anew: "
        "write nothing to this contact that others may not read, and give {name} an invitation by "
        "hand (postroad invite)."
    ),
    Comparison.FOR_SOMEBODY_ELSE: (
        "{name} showed a code that is for somebody with other keys than yours. If they chose you "
        "(postroad verify, with YOUR name, --qr), they have wrong keys for you, and somebody "
        "stands between you: give {name} an invitation by hand (postroad invite)."
    ),
    Comparison.DIFFERENT: (
        "These digits are NOT the safety number of you and {name}. Compare once more. If they read "
        "out the number for you and it stays another one, somebody stands between you: write "
        "nothing to this contact that others may not read, and give {name} an invitation by hand "
        "(postroad invite)."
    ),
}


class ContactsDesk:
    """`questions` are for `doors.control`."""

    def __init__(self, book: ContactBook) -> None:
        self._book = book
        self.questions: Mapping[str, Question] = {
            "contacts": self._list,
            "contact": self._show,
            "rename contact": self._rename,
            "block contact": self._block,
            "unblock contact": self._unblock,
            "remove contact": self._remove,
            "export contacts": self._export,
            "verify contact": self._verify,
            "invitations": self._invitations,
            "withdraw invitation": self._withdraw,
        }

    async def _list(self, _: dict[str, Any]) -> Reply:
        return {"contacts": [_told(person) for person in await self._book.all()]}

    async def _show(self, request: dict[str, Any]) -> Reply:
        return _relations_told(await self._book.show(_name(request)))

    async def _rename(self, request: dict[str, Any]) -> Reply:
        before, person = await self._book.rename(_name(request), str(request.get("to", "")))
        return {"before": before, **_told(person)}

    async def _block(self, request: dict[str, Any]) -> Reply:
        return _relations_told(await self._book.block(_name(request)))

    async def _unblock(self, request: dict[str, Any]) -> Reply:
        return _relations_told(await self._book.unblock(_name(request)))

    async def _remove(self, request: dict[str, Any]) -> Reply:
        cancel = request.get("cancel_letters") is True
        return _relations_told(await self._book.remove(_name(request), cancel_letters=cancel))

    async def _export(self, request: dict[str, Any]) -> Reply:
        """All who are not blocked, as the text of a file."""
        write = FORMATS.get(str(request.get("format")))
        if write is None:
            raise PermanentFailure(f"Contacts are exported as {' or '.join(FORMATS)}.")
        everybody = await self._book.all()
        found = [Card(one.name, one.address) for one in everybody if not one.blocked]
        return {
            "text": write(found),
            "count": len(found),
            "left_out": len(everybody) - len(found),
        }

    async def _verify(self, request: dict[str, Any]) -> Reply:
        name = _name(request)
        if request.get("forget") is True:
            return _told(await self._book.forget_verification(name))
        shown = request.get("code")
        matches = request.get("matches") is True
        found = await self._book.verify(
            name, None if shown is None else str(shown), matches=matches
        )
        if found.comparison is not None and found.comparison is not Comparison.MATCHES:
            raise PermanentFailure(_WHAT_DIFFERS[found.comparison].format(name=found.person.name))
        return {
            **_told(found.person),
            "number": list(found.number),
            "code": found.code,
            "compared": found.comparison is not None,
        }

    async def _invitations(self, _: dict[str, Any]) -> Reply:
        return {"invitations": [_invitation_told(*one) for one in await self._book.invitations()]}

    async def _withdraw(self, request: dict[str, Any]) -> Reply:
        return _invitation_told(*await self._book.withdraw(str(request.get("id", ""))))


def _name(request: dict[str, Any]) -> str:
    return str(request.get("name", ""))


def _told(person: Person) -> Reply:
    return {
        "name": person.name,
        "address": person.address,
        "seen_at": person.seen_at,
        "verified": person.verified,
        "verified_at": person.verified_at,
        "blocked": person.blocked,
        "revoked": person.revoked,
    }


def _invitation_told(row: InvitationRow, state: State, used_by: str | None) -> Reply:
    return {
        "id": row.id,
        "name": row.name,
        "state": state.value,
        "created_at": row.created_at,
        "expires_at": row.expires_at,
        "used_by": used_by,
        "used_at": row.used_at,
        "withdrawn_at": row.withdrawn_at,
    }


def _relations_told(found: Relations) -> Reply:
    return {
        **_told(found.person),
        "fingerprint": found.person.fingerprint,
        "since": found.since,
        "holds_for_us": found.holds_for_us,
        "we_hold_for_them": found.we_hold_for_them,
        "letters_under_way": found.waiting,
    }

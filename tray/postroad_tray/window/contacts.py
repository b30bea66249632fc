"""Contacts and requests: who may write, who wants to, and how somebody becomes one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from PySide6.QtWidgets import QDialog, QHBoxLayout, QWidget

from postroad_tray import plain
from postroad_tray.client import Answer, Client, Question, question_about
from postroad_tray.deeds import Place
from postroad_tray.facts import Contact, Picture, Request
from postroad_tray.tongue import _
from postroad_tray.window import contact_rows, pieces
from postroad_tray.window.again import Again
from postroad_tray.window.contact_rows import Invitation, Proposal
from postroad_tray.window.page import Page
from postroad_tray.window.pending import Pending, PendingCard
from postroad_tray.window.people_dialogs import Accept, Invite, Rename, Verify
from postroad_tray.window.rows import Rows, Table

ASKED_AGAIN_SECONDS = 60
REQUESTS_SHOWN_MAX = 20
Asked = tuple[str, str]  # of which line, what


class Contacts(Page):
    def __init__(self, client: Client) -> None:
        super().__init__()
        self._client = client
        self._contacts: dict[str, Contact] = {}
        self._decided: set[Asked] = set()  # of requests; no second click is a second question
        self._withdrawn: set[Asked] = set()  # of invitations
        self._answered: set[Asked] = set()  # of proposals
        self._now = 0.0
        self._lists = Again(ASKED_AGAIN_SECONDS)  # invitations and proposals
        self._is_there = False
        self._summary = pieces.words(size=1.3)
        self.invite_button = pieces.button(_("&Invite someone …"), self.invite)
        self.accept_button = pieces.button(_("A&ccept an invitation …"), self.accept)
        self.column.addWidget(self._summary)
        self.column.addLayout(_from_the_left(self.invite_button, self.accept_button))
        self._requests = PendingCard(_("They want to write to you"))
        self._proposals = PendingCard(_("Proposed to you"))
        self._table = Table(Rows(contact_rows.columns()), _("Contacts"))
        self._chosen = pieces.taken_words()
        self._buttons = {
            "verify": pieces.button(_("&Safety number …"), self._verify),
            "rename": pieces.button(_("&Rename …"), self._rename),
            "block": pieces.button(_("&Block …"), self._block),
            "remove": pieces.button(_("Re&move …"), self._remove),
        }
        self._copy = pieces.copy_button(_("the address"), self._address, _("C&opy address"))
        self._invitations = PendingCard(_("Invitations that nobody has accepted yet"))
        for widget in (self._requests, self._proposals):
            self.column.addWidget(widget)
        self.column.addWidget(self._table, 1)
        self.column.addWidget(self._chosen)
        verify, rename, block, remove = self._buttons.values()
        self.column.addLayout(_from_the_left(verify, rename, self._copy))
        self.column.addLayout(_from_the_left(block, remove))
        self.column.addWidget(self._invitations)
        self._table.selectionModel().selectionChanged.connect(lambda *_ignored: self._tell())
        self._table.activated.connect(lambda *_ignored: self._verify())

    def draw(self, picture: Picture, now: float) -> None:
        picture = picture.as_of_now()
        self._now = now
        self._is_there = picture.is_there
        self._contacts = {one.object_path: one for one in picture.contacts}
        pieces.say(self._summary, contact_rows.summary(picture))
        self._table.show_rows(contact_rows.row(one, now) for one in picture.contacts)
        self._table.setVisible(bool(picture.contacts))
        self._show_requests(picture.requests)
        for button in (self.invite_button, self.accept_button):
            button.setEnabled(picture.is_there)
        if picture.is_there and self._lists.is_due(now):
            self._ask_lists()
        self._tell()

    def begin(self, what: str) -> None:
        if what == Place.INVITE:
            self.invite()
        elif what == Place.ACCEPT:
            self.accept()

    def invite(self) -> None:
        self._open(Invite, lambda: Invite(self, self._client, self._ask_lists))

    def accept(self) -> None:
        self._open(Accept, lambda: Accept(self, self._client))

    def _open(self, kind: type[QDialog], make: Callable[[], QDialog]) -> None:
        """One of a kind: what is typed, or shown, in the one that is there stays."""
        there = [one for one in self.findChildren(kind) if one.isVisible()]
        if there:
            there[0].activateWindow()
        else:
            make().open()

    # --- contacts --------------------------------------------------------------------------------

    def _one(self) -> Contact | None:
        chosen = self._table.chosen()
        return self._contacts.get(chosen[0]) if chosen else None

    def _tell(self) -> None:
        contact = self._one()
        said = contact_rows.sentence(contact, self._now) if contact is not None else ""
        pieces.say(self._chosen, said)
        for button in (*self._buttons.values(), self._copy):
            button.setVisible(bool(self._contacts))
            button.setEnabled(contact is not None and self._is_there)
        is_blocked = contact is not None and contact.blocked
        self._buttons["block"].setText(_("Un&block") if is_blocked else _("&Block …"))

    def _address(self) -> str:
        contact = self._one()
        return contact.address if contact is not None else ""

    def _verify(self) -> None:
        contact = self._one()
        if contact is not None and self._is_there:
            Verify(self, self._client, contact).open()

    def _rename(self) -> None:
        contact = self._one()
        if contact is not None:
            Rename(self, self._client, contact).open()

    def _block(self) -> None:
        contact = self._one()
        if contact is None:
            return
        if contact.blocked:
            self._ask_contact(contact, "Unblock", said=_("{name} is not blocked any more."))
            return
        pieces.ask_first(
            self,
            contact_rows.block_question(contact),
            contact_rows.block_warning(),
            _("&Block"),
            lambda: self._ask_contact(contact, "Block", said=_("{name} is blocked.")),
        )

    def _remove(self) -> None:
        contact = self._one()
        if contact is None:
            return
        pieces.ask_first(
            self,
            contact_rows.remove_question(contact),
            contact_rows.remove_warning(),
            _("&Remove"),
            lambda: self._ask_contact(
                contact, "Remove", "b", [True], said=_("{name} is no contact any more.")
            ),
        )

    def _ask_contact(
        self,
        contact: Contact,
        member: str,
        signature: str = "",
        body: Sequence[object] = (),
        *,
        said: str,
    ) -> None:
        question = question_about(contact, member, signature, body)
        self._client.ask(question, self._outcome(said.format(name=plain.apart(contact.name))))

    def _outcome(
        self, good: str, then: Callable[[], None] = lambda: None
    ) -> Callable[[Answer], None]:
        def told(answer: Answer) -> None:
            self.said.emit(good if answer.is_good else plain.paragraph(answer.sentence))
            then()

        return told

    # --- requests, proposals, invitations --------------------------------------------------------

    def _show_requests(self, requests: Sequence[Request]) -> None:
        _keep_listed(self._decided, (one.object_path for one in requests))
        lines = [
            Pending(
                one.object_path,
                contact_rows.request_line(one, self._now),
                contact_rows.request_line(one, self._now, is_short=True),
                (
                    (_("&Accept"), self._accepts(one)),
                    (_("&Refuse …"), self._refuses(one)),
                ),
            )
            for one in requests[:REQUESTS_SHOWN_MAX]
        ]
        self._requests.show_all(lines)

    def _accepts(self, request: Request) -> Callable[[], None]:
        said = _("{address} is your contact now, and their letter is in your INBOX.")
        return lambda: self._ask_request(request, "Accept", "", [], said)

    def _refuses(self, request: Request) -> Callable[[], None]:
        """Whether they are told is as the configuration says."""

        def refuse() -> None:
            said = _("The letter of {address} is gone.")
            self._ask_request(request, "Refuse", "a{sv}", [{}], said)

        def ask() -> None:
            pieces.ask_first(
                self,
                contact_rows.refuse_question(request),
                contact_rows.refuse_warning(),
                _("&Refuse"),
                refuse,
            )

        return ask

    def _ask_request(
        self, request: Request, member: str, signature: str, body: Sequence[object], said: str
    ) -> None:
        question = question_about(request, member, signature, body)
        outcome = self._outcome(said.format(address=plain.apart(request.address)))
        self._ask_once(self._decided, (request.object_path, member), question, outcome)

    def _ask_once(
        self, asked: set[Asked], key: Asked, question: Question, then: Callable[[Answer], None]
    ) -> None:
        """Of a line, which goes when it is done."""

        def told(answer: Answer) -> None:
            if not answer.is_good:
                asked.discard(key)
            then(answer)

        if key not in asked:
            asked.add(key)
            self._client.ask(question, told)

    def _ask_lists(self) -> None:
        """Nothing of these is told by signals."""
        self._lists.asked(self._now)
        self._client.ask(Question("ListInvitations"), self._show_invitations)
        self._client.ask(Question("ListProposals"), self._show_proposals)

    def _show_invitations(self, answer: Answer) -> None:
        if not answer.is_good:
            self._lists.failed()
            return  # what was there before is better than nothing
        found = contact_rows.invitations(answer.value, self._now)
        _keep_listed(self._withdrawn, (one.id for one in found))
        self._invitations.show_all(
            [
                Pending(
                    one.id,
                    contact_rows.invitation_line(one, self._now),
                    contact_rows.invitation_line(one, self._now),
                    ((_("&Withdraw"), self._withdraws(one)),),
                )
                for one in found
            ]
        )

    def _withdraws(self, one: Invitation) -> Callable[[], None]:
        question = Question("WithdrawInvitation", "s", [one.id])
        told = self._outcome(_("The invitation works no more."), self._ask_lists)
        return lambda: self._ask_once(self._withdrawn, (one.id, question.member), question, told)

    def _show_proposals(self, answer: Answer) -> None:
        if not answer.is_good:
            self._lists.failed()
            return
        found = contact_rows.proposals(answer.value, self._now)
        _keep_listed(self._answered, (one.id for one in found))
        self._proposals.show_all(
            [
                Pending(
                    one.id,
                    contact_rows.proposal_line(one),
                    contact_rows.proposal_line(one, is_short=True),
                    (
                        (_("Acc&ept"), self._decides(one, "AcceptProposal")),
                        (_("&Decline"), self._decides(one, "DeclineProposal")),
                    ),
                )
                for one in found
            ]
        )

    def _decides(self, one: Proposal, member: str) -> Callable[[], None]:
        name = plain.apart(one.name)
        said = _("It is done. You hear of {name} when their node answers.").format(name=name)
        declined = _("{name} was declined.").format(name=name)
        told = self._outcome(said if member == "AcceptProposal" else declined, self._ask_lists)
        question = Question(member, "s", [one.id])
        return lambda: self._ask_once(self._answered, (one.id, member), question, told)


def _keep_listed(asked: set[Asked], listed: Iterable[str]) -> None:
    there = set(listed)
    asked -= {one for one in asked if one[0] not in there}


def _from_the_left(*buttons: QWidget) -> QHBoxLayout:
    across = pieces.row(*buttons, stretch_first=False)
    across.addStretch(1)
    return across

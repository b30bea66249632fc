"""Contacts and requests, with the real widgets: what is said of people, and what is asked."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import pytest
from PySide6.QtCore import QMetaType, QMimeData, QPoint, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QDialog, QLabel

from postroad import contract
from postroad_tray.client import Answer
from postroad_tray.facts import Link, Picture, Trust
from postroad_tray.window import contact_rows, open_window
from postroad_tray.window.contacts import Contacts
from postroad_tray.window.frame import Frame
from postroad_tray.window.people_dialogs import (
    LINK_LENGTH_MAX,
    Accept,
    Invite,
    Rename,
    Verify,
)
from tray import pictures, seeing
from tray.standing_in import StandIn

LINK = "postroad:" + "a7b3" * 60
NUMBER = [f"{n:05d}" for n in range(12)]
D = TypeVar("D", bound=QDialog)


class Asked(QMimeData):
    """What a program has copied that is asked for it only when somebody pastes."""

    times = 0

    def formats(self) -> list[str]:
        return ["text/plain"]

    def hasFormat(self, mimetype: str) -> bool:
        return mimetype == "text/plain"

    def retrieveData(self, mimetype: str, preferred: QMetaType | QMetaType.Type) -> object:
        self.times += 1
        return LINK


def opened(picture: Picture) -> tuple[Frame, StandIn, Contacts]:
    client = StandIn(picture)
    frame = open_window(client, page="contacts", now=lambda: pictures.NOW)
    assert isinstance(frame.page, Contacts)
    return frame, client, frame.page


def dialog(page: Contacts, kind: type[D]) -> D:
    (found,) = page.findChildren(kind)
    seeing.settle()
    return found


def whose(page: Contacts, part: str) -> QLabel:
    """The words of a line."""
    (found,) = [one for one in page.findChildren(QLabel) if part in one.text()]
    return found


def choose(page: Contacts, number: int = 0) -> str:
    key = page._table.rows.row(number).key
    page._table.choose([key])
    return key


def test_of_each_way_to_trust_there_is_a_sentence() -> None:
    one = pictures.contact(1)
    said = {
        trust: contact_rows.sentence(replace(one, trust=trust, verified_at=1), pictures.NOW)
        for trust in Trust
    }
    assert len(set(said.values())) == len(Trust)
    assert "never compared" in said[Trust.UNVERIFIED]
    assert all(one.address in sentence for sentence in said.values())


def test_only_what_can_still_be_accepted_is_listed() -> None:
    told = [
        {"Id": "a", "State": "open", "ExpiresAt": pictures.NOW + 10, "Name": "Dora"},
        {"Id": "b", "State": "used", "ExpiresAt": pictures.NOW + 10},
        {"Id": "c", "State": "open", "ExpiresAt": pictures.NOW - 10},
        "nonsense",
    ]
    assert [one.id for one in contact_rows.invitations(told, pictures.NOW)] == ["a"]
    assert contact_rows.invitations("nonsense", pictures.NOW) == []
    assert [one.id for one in contact_rows.proposals(told, pictures.NOW)] == ["a"]


def test_a_safety_number_is_read_in_three_lines() -> None:
    assert contact_rows.number_lines(NUMBER).splitlines()[1] == "00004  00005  00006  00007"
    assert contact_rows.number_lines(17) == ""


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"Name": "bora", "Address": "b@x", "IsNew": True}, "bora is your contact now."),
        ({"Name": "bora", "Address": "b@x", "IsNew": False}, "was your contact already"),
        ({"Helper": "box"}, "box helps you"),
    ],
)
def test_what_came_of_an_invitation_is_said(told: dict[str, object], said: str) -> None:
    assert said in contact_rows.accepted(told)


@pytest.mark.usefixtures("qt")
class TestPage:
    def test_nobody_is_known_yet_and_that_is_no_empty_table(self) -> None:
        frame, _, page = opened(pictures.empty())
        assert seeing.shows(frame, "You have no contacts yet.")
        assert not page._table.isVisibleTo(frame)
        assert seeing.button(frame, "Invite someone …").isEnabled()

    def test_whoever_is_chosen_is_told_in_a_sentence_and_copied(self) -> None:
        frame, client, page = opened(pictures.with_people(7))
        choose(page)
        assert seeing.shows(frame, "Anna, anna.")
        seeing.click(seeing.button(frame, "Copy: the address"))
        assert QGuiApplication.clipboard().text() == client.picture.contacts[0].address

    def test_who_was_chosen_stays_so_when_the_picture_changes(self) -> None:
        _, client, page = opened(pictures.with_people(7))
        key = choose(page, 2)
        client.show(pictures.with_people(9))
        assert page._table.chosen() == [key]

    def test_a_clock_that_was_set_back_does_not_end_the_asking(self) -> None:
        _, client, page = opened(pictures.with_people(1))
        client.asked.clear()
        page.draw(client.picture, pictures.NOW + 30)
        assert client.asked == []
        page.draw(client.picture, pictures.NOW - pictures.DAY)
        assert [one.member for one in client.asked] == ["ListInvitations", "ListProposals"]

    def test_what_a_button_is_about_is_said_as_of_now(self) -> None:
        frame, client, page = opened(pictures.with_people(1, requests=1))
        accept = seeing.button(frame, "Accept")
        assert "1 h ago" in accept.accessibleDescription()
        page.draw(client.picture, pictures.NOW + 4 * pictures.HOUR)
        assert seeing.button(frame, "Accept") is accept
        assert "5 h ago" in accept.accessibleDescription()

    @pytest.mark.parametrize("width", [650, 760, 1100])
    def test_the_address_of_a_stranger_is_whole_in_a_narrow_window(self, width: int) -> None:
        frame, client, page = opened(pictures.with_people(1, requests=1))
        frame.resize(width, 600)
        seeing.settle()
        words = whose(page, "wrote to you")
        address = client.picture.requests[0].address
        assert address in words.text()
        assert words.fontMetrics().horizontalAdvance(address) <= words.width()
        assert words.toolTip() == ""
        beside = seeing.button(frame, "Accept").mapTo(frame, QPoint()).y()
        assert (beside < words.mapTo(frame, QPoint()).y() + words.height()) is (width > 650)

    def test_an_address_without_room_is_shortened_and_whole_for_who_asks(self) -> None:
        _, client, page = opened(pictures.with_people(1, requests=1))
        words = whose(page, "wrote to you")
        line = words.parentWidget()
        assert line is not None
        address = client.picture.requests[0].address
        for width, is_whole in ((200, False), (900, True), (260, False)):
            page._requests.inside.removeWidget(line)
            line.resize(width, 200)
            seeing.settle()
            assert (address in words.text()) is is_whole
            assert (address in words.toolTip()) is not is_whole
            assert address in words.accessibleName()
            assert ("stranger0.z7y6x7…@postroad.alt wrote to you" in words.text()) is not is_whole

    def test_the_name_of_a_contact_has_room_beside_the_address(self) -> None:
        frame, client, page = opened(pictures.with_people(7))
        frame.resize(760, 600)
        seeing.settle()
        names = [one.name for one in client.picture.contacts]
        column = page._table.columnWidth(0)
        assert all(page._table.fontMetrics().horizontalAdvance(one) < column for one in names)
        assert not page._table.horizontalScrollBar().isVisible()
        address = page._table.rows.index(0, 4)
        assert address.data(Qt.ItemDataRole.AccessibleTextRole) == pictures.address(0)
        assert pictures.address(0) in address.data(Qt.ItemDataRole.ToolTipRole)

    def test_blocking_asks_first_and_no_is_the_answer_to_return(self) -> None:
        frame, client, page = opened(pictures.with_people(3))
        key = choose(page)
        seeing.click(seeing.button(frame, "Block …"))
        seeing.press(seeing.question(), "Return")
        assert "Block" not in [one.member for one in client.asked]
        seeing.click(seeing.button(frame, "Block …"))
        seeing.click(seeing.button(seeing.question(), "Block"))
        asked = client.asked[-1]
        assert (asked.member, asked.object_path) == ("Block", key)
        assert asked.interface == contract.CONTACT_INTERFACE
        assert frame.outcome == "Anna is blocked."

    def test_who_is_blocked_can_be_unblocked_without_a_question(self) -> None:
        one = replace(pictures.contact(0), blocked=True, trust=Trust.BLOCKED)
        frame, client, page = opened(replace(pictures.with_people(1), contacts=(one,)))
        choose(page)
        seeing.click(seeing.button(frame, "Unblock"))
        assert client.asked[-1].member == "Unblock"

    def test_removing_gives_up_the_letters_on_their_way_and_says_so(self) -> None:
        frame, client, page = opened(pictures.with_people(3))
        choose(page)
        seeing.click(seeing.button(frame, "Remove …"))
        box = seeing.question()
        assert "given up" in box.informativeText()
        seeing.click(seeing.button(box, "Remove"))
        assert (client.asked[-1].member, client.asked[-1].body) == ("Remove", [True])

    def test_a_request_is_accepted_or_refused_where_it_stands(self) -> None:
        frame, client, _ = opened(pictures.with_people(2, requests=1))
        request = client.picture.requests[0]
        seeing.settle()
        assert seeing.shows(frame, f"{request.address} wrote to you 1 h ago")
        seeing.click(seeing.button(frame, "Accept"))
        assert (client.asked[-1].member, client.asked[-1].object_path) == (
            "Accept",
            request.object_path,
        )
        seeing.click(seeing.button(frame, "Refuse …"))
        seeing.click(seeing.button(seeing.question(), "Refuse"))
        assert (client.asked[-1].member, client.asked[-1].body) == ("Refuse", [{}])
        client.show(pictures.with_people(3))
        assert not seeing.shows(frame, "wrote to you")

    def test_a_button_keeps_the_focus_while_others_come(self) -> None:
        frame, client, _ = opened(pictures.with_people(2, requests=1))
        seeing.settle()
        button = seeing.button(frame, "Accept")
        button.setFocus()
        client.show(pictures.with_people(2, requests=2))
        assert button.hasFocus()

    def test_an_error_of_the_service_is_said(self) -> None:
        frame, client, page = opened(pictures.with_people(3))
        client.answers["Unblock"] = Answer(error_name="x", sentence="It is not permitted.")
        page._ask_contact(client.picture.contacts[0], "Unblock", said="good")
        assert frame.outcome == "It is not permitted."

    def test_nothing_can_be_begun_while_the_service_is_off(self) -> None:
        frame, client, page = opened(pictures.with_people(3))
        choose(page)
        client.show(pictures.off())
        for name in ("Invite someone …", "Accept an invitation …"):
            assert not seeing.button(frame, name).isEnabled()

    def test_open_invitations_and_proposals_are_told_and_ended(self) -> None:
        client = StandIn(pictures.with_people(1))
        open_one = {"Id": "i1", "State": "open", "ExpiresAt": pictures.NOW + 90_000}
        client.answers["ListInvitations"] = Answer(([{**open_one, "Name": "Dora"}],))
        proposal = {**open_one, "Id": "p1", "Name": "Carla", "Introducer": "Anna", "Address": "c@x"}
        client.answers["ListProposals"] = Answer(([proposal],))
        frame = open_window(client, page="contacts", now=lambda: pictures.NOW)
        seeing.settle()
        assert seeing.shows(frame, "For Dora, made never; it works for 25 h more.")
        assert seeing.shows(frame, "Anna proposes Carla to you (c@x).")
        client.is_slow = True
        for _times in range(2):
            seeing.click(seeing.button(frame, "Withdraw"))
        client.is_slow = False
        client.answer()
        withdrawn = [one.body for one in client.asked if one.member == "WithdrawInvitation"]
        assert withdrawn == [["i1"]]
        seeing.click(seeing.button(frame, "Decline"))
        declined = [one.body for one in client.asked if one.member == "DeclineProposal"]
        assert declined == [["p1"]]

    def test_a_list_that_could_not_be_had_is_no_empty_list(self) -> None:
        client = StandIn(pictures.with_people(1))
        some = {"State": "open", "ExpiresAt": pictures.NOW + 90_000, "Name": "Dora"}
        client.answers["ListInvitations"] = Answer(([{**some, "Id": "i1"}],))
        client.answers["ListProposals"] = Answer(([{**some, "Id": "p1", "Introducer": "Anna"}],))
        frame = open_window(client, page="contacts", now=lambda: pictures.NOW)
        assert isinstance(frame.page, Contacts)
        good = dict(client.answers)
        busy = Answer(error_name="x.Busy", sentence="Try again.")
        client.answers.update(ListInvitations=busy, ListProposals=busy)
        frame.page.draw(client.picture, pictures.NOW + 61)
        assert seeing.shows(frame, "For Dora")
        assert seeing.shows(frame, "Anna proposes Dora")
        client.answers.update(good)
        client.asked.clear()
        for later, asked in ((64, []), (66, ["ListInvitations", "ListProposals"]), (100, [])):
            frame.page.draw(client.picture, pictures.NOW + later)
            assert [one.member for one in client.asked] == asked, later
            client.asked.clear()

    def test_what_was_withdrawn_is_not_asked_again_by_an_answer_to_the_other_list(self) -> None:
        client = StandIn(pictures.with_people(1))
        some = {"State": "open", "ExpiresAt": pictures.NOW + 90_000, "Name": "Dora", "Id": "i1"}
        client.answers["ListInvitations"] = Answer(([some],))
        frame = open_window(client, page="contacts", now=lambda: pictures.NOW)
        assert isinstance(frame.page, Contacts)
        seeing.settle()
        client.is_slow = True
        seeing.click(seeing.button(frame, "Withdraw"))
        frame.page._show_proposals(Answer(([],)))
        frame.page._show_invitations(client.answers["ListInvitations"])
        seeing.click(seeing.button(frame, "Withdraw"))
        assert [one.member for one in client.asked].count("WithdrawInvitation") == 1


@pytest.mark.usefixtures("qt")
class TestInvite:
    def test_a_link_is_made_for_a_name_and_shown_as_a_code_too(self) -> None:
        frame, client, page = opened(pictures.with_people(1))
        client.answers["Invite"] = Answer((LINK, {"Seconds": 7 * 86400.0}))
        seeing.click(seeing.button(frame, "Invite someone …"))
        asked = dialog(page, Invite)
        asked.name.setText(" Dora ")
        seeing.press(asked.name, "Return")
        invite = next(one for one in client.asked if one.member == "Invite")
        assert invite.body[0]["Name"].value == "Dora"
        assert asked.link.toPlainText() == LINK
        seeing.until(lambda: asked.code.isVisibleTo(asked))
        assert "It works once, for 7 days." in asked.outcome.text()
        seeing.click(seeing.button(asked, "Copy: the link"))
        assert QGuiApplication.clipboard().text() == LINK

    def test_an_invitation_goes_with_its_window(self) -> None:
        frame, client, page = opened(pictures.healthy())
        client.answers["Invite"] = Answer((LINK, {"Seconds": 7 * 86400.0}))
        seeing.click(seeing.button(frame, "Invite someone …"))
        asked = dialog(page, Invite)
        seeing.click(asked.make)
        assert asked.link.isVisible()
        frame.close()
        assert not asked.isVisible()
        seeing.settle()
        frame.come()
        assert not page.findChildren(Invite)

    def test_what_the_service_will_not_do_is_said(self) -> None:
        frame, client, page = opened(pictures.with_people(1))
        client.answers["Invite"] = Answer(error_name="x", sentence="Not by this policy.")
        seeing.click(seeing.button(frame, "Invite someone …"))
        asked = dialog(page, Invite)
        seeing.click(asked.make)
        assert asked.outcome.text() == "Not by this policy."
        assert asked.make.isEnabled()


@pytest.mark.usefixtures("qt")
class TestAccept:
    def test_a_link_that_was_copied_is_pasted_by_a_button(self) -> None:
        QGuiApplication.clipboard().setText(f" {LINK}\n")
        frame, client, page = opened(pictures.empty())
        client.answers["Accept"] = Answer(
            ("/x", {"Name": "bora", "Address": "bora@x", "IsNew": True})
        )
        seeing.click(seeing.button(frame, "Accept an invitation …"))
        asked = dialog(page, Accept)
        seeing.click(asked.paste)
        seeing.click(asked.accept_it)
        assert client.asked[-1].body == [LINK]
        assert asked.outcome.text() == "bora is your contact now. Write to them: bora@x"

    def test_what_others_have_copied_is_not_asked_for_until_it_is_wanted(self) -> None:
        copied = Asked()
        QGuiApplication.clipboard().setMimeData(copied)
        _, _client, page = opened(pictures.empty())
        page.accept()
        asked = dialog(page, Accept)
        seeing.settle()
        assert copied.times == 0
        asked.link.setPlainText("what was there")
        seeing.press(asked.link, "Ctrl+A")
        seeing.press(asked.link, "Ctrl+V")
        assert copied.times > 0
        assert asked.link.toPlainText() == LINK
        seeing.click(asked.paste)
        assert asked.link.toPlainText() == LINK

    def test_of_what_is_no_link_at_all_little_is_pasted(self) -> None:
        QGuiApplication.clipboard().setText("a" * 1_000_000)
        _, _client, page = opened(pictures.empty())
        page.accept()
        asked = dialog(page, Accept)
        seeing.click(asked.paste)
        assert len(asked.link.toPlainText()) == LINK_LENGTH_MAX + 1
        seeing.click(asked.accept_it)
        assert asked.outcome.text() == "That is too long to be an invitation."

    def test_what_is_no_invitation_is_said_and_can_be_mended(self) -> None:
        QGuiApplication.clipboard().clear()
        frame, client, page = opened(pictures.empty())
        seeing.click(seeing.button(frame, "Accept an invitation …"))
        asked = dialog(page, Accept)
        assert not asked.accept_it.isEnabled()
        client.answers["Accept"] = Answer(
            error_name=contract.BusError.INVALID_CODE, sentence="That is no invitation."
        )
        asked.link.setPlainText("a line that\nwas broken")
        seeing.click(asked.accept_it)
        assert client.asked[-1].body == ["alinethatwasbroken"]
        assert asked.outcome.text() == "That is no invitation."
        asked.link.setPlainText("x" * 3000)
        before = len(client.asked)
        seeing.click(asked.accept_it)
        assert len(client.asked) == before

    def test_an_answer_after_the_dialog_is_for_nobody(self) -> None:
        _, client, page = opened(pictures.empty())
        page.accept()
        asked = dialog(page, Accept)
        late = asked.while_open(asked._told)
        asked.reject()
        late(Answer(error_name="x", sentence="Too late."))
        assert asked.outcome.text() == ""
        assert client.asked


@pytest.mark.usefixtures("qt")
class TestVerify:
    def test_the_number_is_shown_and_confirmed(self) -> None:
        _, client, page = opened(pictures.with_people(2))
        client.answers["GetSafetyNumber"] = Answer((NUMBER, "postroad-number:abc"))
        key = choose(page, 1)
        page._verify()
        asked = dialog(page, Verify)
        assert "00004  00005" in asked.number.text()
        seeing.until(lambda: asked.code.isVisibleTo(asked))
        assert not seeing.shows(asked, "Forget that it was compared")
        seeing.click(asked.same)
        assert client.asked[-1].member == "Verify"
        assert client.asked[-1].object_path == key
        assert client.asked[-1].body == [" ".join(NUMBER)]
        assert asked.outcome.text() == "Bora is verified."
        seeing.click(asked.forget)
        assert client.asked[-1].member == "ForgetVerification"

    def test_another_number_is_refused_by_the_service_and_that_is_said(self) -> None:
        _, client, page = opened(pictures.with_people(1))
        client.answers["GetSafetyNumber"] = Answer((NUMBER, "code"))
        client.answers["Verify"] = Answer(error_name="x", sentence="That is not their number.")
        choose(page)
        page._verify()
        asked = dialog(page, Verify)
        assert not asked.compare.isEnabled()
        asked.theirs.setText("12345")
        seeing.click(asked.compare)
        assert client.asked[-1].body == ["12345"]
        assert asked.outcome.text() == "That is not their number."


@pytest.mark.usefixtures("qt")
def test_a_contact_is_renamed_by_the_keyboard() -> None:
    frame, client, page = opened(pictures.with_people(1))
    choose(page)
    seeing.click(seeing.button(frame, "Rename …"))
    asked = dialog(page, Rename)
    asked.name.setText("Anna B.")
    seeing.press(asked.name, "Return")
    assert client.asked[-1].body == ["Anna B."]


@pytest.mark.usefixtures("qt")
def test_hostile_names_are_text_in_every_dialog() -> None:
    hostile = replace(pictures.contact(0), name="<img src=x> & <b>bold</b>")
    frame, client, page = opened(replace(pictures.with_people(1), contacts=(hostile,)))
    choose(page)
    client.answers["GetSafetyNumber"] = Answer((["<b>1</b>"] * 12, "x" * 9000))
    page._verify()
    page._rename()
    for one in page.findChildren(QDialog):
        for label in one.findChildren(QLabel):
            assert label.textFormat().name == "PlainText"
    assert not dialog(page, Verify).code.isVisibleTo(page)
    assert seeing.shows(frame, "<img src=x> & <b>bold</b>")


@pytest.mark.usefixtures("qt")
@pytest.mark.parametrize(("place", "kind"), [("invite", Invite), ("accept", Accept)])
def test_the_menu_can_begin_it(place: str, kind: type[QDialog]) -> None:
    client = StandIn(pictures.with_people(1))
    frame = open_window(client, page=place, now=lambda: pictures.NOW)
    assert frame.page_name == "contacts"
    assert isinstance(frame.page, Contacts)
    assert len(frame.page.findChildren(kind)) == 1


@pytest.mark.usefixtures("qt")
class TestAtOddTimes:
    def test_where_nobody_tells_nobody_is_said_to_be_on(self) -> None:
        frame, client, page = opened(pictures.with_people(3))
        rows = page._table.rows
        assert "now" in [rows.row(n).cells[2].text for n in range(3)]
        client.show(replace(client.picture, link=Link.ABSENT))
        assert "now" not in [rows.row(n).cells[2].text for n in range(3)]
        client.show(Picture(Link.ABSENT))
        assert seeing.shows(frame, "Your contacts are not known")

    def test_a_second_click_is_no_second_question(self) -> None:
        frame, client, _ = opened(pictures.with_people(2, requests=1))
        client.is_slow = True
        seeing.settle()
        client.answers["Accept"] = Answer(error_name="x", sentence="Not now.")
        for _times in range(2):
            seeing.click(seeing.button(frame, "Accept"))
        assert [one.member for one in client.asked].count("Accept") == 1
        client.answer()
        assert frame.outcome == "Not now."
        client.answers["Accept"] = Answer()
        for _times in range(2):  # the second before its line has gone
            seeing.click(seeing.button(frame, "Accept"))
            client.answer()
        assert [one.member for one in client.asked].count("Accept") == 2
        assert "is your contact now" in frame.outcome
    def test_what_is_typed_stays_however_often_a_dialog_is_asked_for(self) -> None:
        frame, _, page = opened(pictures.with_people(2))
        frame.turn_to("invite")
        dialog(page, Invite).name.setText("Bora")
        for _times in range(3):
            frame.turn_to("invite")
        assert dialog(page, Invite).name.text() == "Bora"

    def test_a_link_is_asked_about_once_whatever_is_typed_meanwhile(self) -> None:
        frame, client, page = opened(pictures.with_people(2))
        seeing.click(seeing.button(frame, "Accept an invitation …"))
        shown = dialog(page, Accept)
        shown.link.setPlainText(LINK)
        client.is_slow = True
        seeing.click(shown.accept_it)
        shown.link.setPlainText(f"{LINK} ")
        assert not shown.accept_it.isEnabled()
        client.answer()
        assert [one.member for one in client.asked].count("Accept") == 1

"""Every method of the bus, called on a real node; errors come back by their names."""

from __future__ import annotations

from typing import Any

import pytest

from bus_objects import CALLED, Remote, below, variant
from bus_scene import Scene, error_of, write
from person import until
from postroad import contract
from postroad.base import limits
from postroad.contract import MANAGER_INTERFACE, ROOT_PATH, BusError
from postroad.doors.dbus import methods
from postroad.doors.dbus.values import camel
from postroad.machine.clock import SystemClock
from session_bus import CLIENTS, LibraryClient, client

LATER = {  # called in other tests: of a node in another state, or by strangers
    (MANAGER_INTERFACE, "Setup"),
    (MANAGER_INTERFACE, "FinishSetup"),
    (contract.REQUEST_INTERFACE, "Accept"),
    (contract.REQUEST_INTERFACE, "Refuse"),
}


@pytest.fixture(scope="module")
def asker() -> LibraryClient:
    return LibraryClient("dbus-next")


@pytest.fixture
def manager(both: Scene, asker: LibraryClient) -> Remote:
    return Remote(asker, ROOT_PATH, MANAGER_INTERFACE)


@pytest.fixture
def contact(both: Scene, asker: LibraryClient) -> Remote:
    until(lambda: below(asker, contract.CONTACT_PATH), "Bora is shown")
    (path,) = below(asker, contract.CONTACT_PATH)
    return Remote(asker, path, contract.CONTACT_INTERFACE)


@pytest.fixture
def peer(contact: Remote, asker: LibraryClient) -> Remote:
    (path,) = contact["Peers"]
    return Remote(asker, path, contract.PEER_INTERFACE)


# The node


def test_a_pause_with_an_end_and_its_end_before_that(manager: Remote) -> None:
    told = manager("Pause", 3600)
    assert told["Paused"] is True
    assert abs(told["PausedUntil"] - SystemClock().now() - 3600) < 60
    until(lambda: manager["Paused"], "the pause is shown")
    assert manager["State"] == "paused"
    refused = error_of(manager, "Invite", {})
    assert refused.name == BusError.BUSY
    assert "paused" in refused.sentence
    assert manager("Resume") == {"WasPaused": True}
    until(lambda: not manager["Paused"], "the end of the pause is shown")
    assert manager["PausedUntil"] == 0
    manager("Pause", 0)
    until(lambda: manager["Paused"], "the pause is shown")
    manager("Resume")


def test_what_is_told_of_the_node(manager: Remote, both: Scene) -> None:
    status = manager("GetStatus")
    assert status["Address"] == both.anna.address
    check = manager("Netcheck")
    assert all(one.keys() >= {"About", "State", "Summary"} for one in check["Findings"])
    keys = manager("GetKeys")
    assert keys["Protection"] == "plain"
    identity = manager("GetIdentity")
    assert (identity["Address"], identity["Former"]) == (both.anna.address, [])
    assert manager("WriteTestLetter")["Mailbox"] == "INBOX"
    policy = manager("GetPolicy")
    assert policy["Settings"]
    assert manager("ReloadConfiguration") == {"Changed": [], "AfterRestart": []}


def test_statistics_count_letters_and_tell_times_in_whole_seconds(
    manager: Remote, contact: Remote, both: Scene
) -> None:
    write(both.anna, both.bora, 1)
    until(lambda: manager("GetStatistics", {})["Delivered"], "the letter is counted")
    told = manager("GetStatistics", {"Days": variant("u", 7)})
    assert (told["Days"], told["Accepted"], told["Failed"]) == (7, 1, 0)
    assert isinstance(told["Since"], int)
    assert told["Until"] - told["Since"] == 7 * limits.DAY
    assert abs(told["Until"] - SystemClock().now()) < 60
    assert [one["Address"] for one in told["ByContact"]] == [both.bora.address]
    assert told["SecondsToReceipt"]["Letters"] == 1
    assert told["SecondsToReceipt"]["Median"] > 0
    assert sum(one["Accepted"] for one in told["ByDay"]) == 1
    for days in (0, limits.STATISTICS_DAYS + 1):
        refused = error_of(manager, "GetStatistics", {"Days": variant("u", days)})
        assert refused.name == BusError.FAILED
        assert f"from 1 to {limits.STATISTICS_DAYS}" in refused.sentence
    wrong = error_of(manager, "GetStatistics", {"Days": variant("s", "7")})
    assert wrong.name == BusError.INVALID_ARGUMENT


def test_the_bus_shows_the_verdict_that_status_tells(
    manager: Remote, contact: Remote, both: Scene
) -> None:
    def is_the_same() -> bool:
        told = both.anna.postroad("status")
        properties, answer = (
            {name: one[name] for name in ("State", "Health", "Problems")}
            for one in (manager, manager("GetStatus"))
        )
        assert told["problems"], "she has few holders"
        problems = [table_of(one) for one in told["problems"]]
        wanted = {"State": told["state"], "Health": told["health"], "Problems": problems}
        return properties == answer == wanted and manager["Sentence"] == told["sentence"]

    until(is_the_same, "bus and status agree")
    manager("Pause", 0)
    until(is_the_same, "bus and status agree in a pause")
    assert manager["State"] == "paused"
    manager("Resume")
    until(is_the_same, "bus and status agree after it")


def table_of(problem: dict[str, Any]) -> dict[str, Any]:
    """As the bus spells it: parts of sentences are tables, too; what is put into them is not."""
    return {
        camel(key): [table_of(one) for one in value] if isinstance(value, list) else value
        for key, value in problem.items()
    }


def test_the_audit_log_is_read_and_checked(manager: Remote) -> None:
    entries = manager("GetAudit", 0)
    assert [one["Number"] for one in entries] == list(range(1, len(entries) + 1))
    assert "started" in [one["Event"] for one in entries]
    whole = manager("VerifyAudit", "")
    assert whole["Whole"] is True
    assert manager("VerifyAudit", whole["Head"])["Whole"] is True
    assert error_of(manager, "VerifyAudit", "nonsense").name == BusError.FAILED


def test_a_new_mailbox_password_lets_in_and_the_old_one_does_not(
    manager: Remote, both: Scene
) -> None:
    before = both.anna.password
    password = manager("NewMailboxPassword")
    assert password != before
    both.anna.password = password
    with both.anna.imap() as imap:
        imap.noop()


def test_unlocking_what_is_open_changes_nothing(manager: Remote) -> None:
    assert manager("Unlock")["WasLocked"] is False


def test_keys_are_protected_otherwise_but_no_passphrase_goes_over_the_bus(
    manager: Remote,
) -> None:
    assert manager("ProtectKeys", "plain")["Protection"] == "plain"
    refused = error_of(manager, "ProtectKeys", "passphrase")
    assert refused.name == BusError.INVALID_ARGUMENT


def test_a_rotation_is_drafted_and_wrong_words_change_nothing(manager: Remote) -> None:
    sheet = manager("GetRevocationSheet")
    assert len(sheet["Record"]) > 1000
    drafted = manager("BeginRotation")
    assert len(drafted["Words"].split()) == 24
    assert len(drafted["Asked"]) == 3
    assert error_of(manager, "FinishRotation", ["no", "such", "words"]).name == BusError.FAILED
    assert error_of(manager, "PublishRevocation", "nonsense").name == BusError.FAILED


# People


def test_invitations_are_made_listed_used_and_taken_back(manager: Remote, both: Scene) -> None:
    link, details = manager(
        "Invite", {"Name": variant("s", "Carla"), "Seconds": variant("u", 7200)}
    )
    assert link.startswith("postroad:")
    assert (details["Name"], details["Seconds"]) == ("Carla", 7200)
    (open_one,) = [one for one in manager("ListInvitations") if one["Id"] == details["Id"]]
    assert open_one["State"] == "open"
    assert link not in str(open_one)
    manager("WithdrawInvitation", details["Id"])
    (gone,) = [one for one in manager("ListInvitations") if one["Id"] == details["Id"]]
    assert gone["State"] != "open"
    assert error_of(manager, "WithdrawInvitation", "ffffffff").name == BusError.FAILED
    assert error_of(manager, "Invite", {"Seconds": variant("u", 1)}).name == BusError.FAILED


def test_an_invitation_is_accepted_over_the_bus(
    manager: Remote, both: Scene, contact: Remote
) -> None:
    link = both.bora.postroad("invite")["link"]
    path, details = manager("Accept", link)
    assert path == contact.path
    assert details["Address"] == both.bora.address
    for nonsense in ("", "nonsense", "postroad:" + "A" * 200, link[:-4]):
        assert error_of(manager, "Accept", nonsense).name == BusError.INVALID_CODE
    own, _ = manager("Invite", {})
    assert error_of(manager, "Accept", own).name == BusError.INVALID_CODE


def test_introductions_and_proposals(manager: Remote) -> None:
    assert manager("ListProposals") == []
    unknown = error_of(manager, "Introduce", "nobody", "bora")
    assert unknown.name == BusError.NO_SUCH_CONTACT
    assert error_of(manager, "AcceptProposal", "ffff").name == BusError.FAILED
    assert error_of(manager, "DeclineProposal", "ffff").name == BusError.FAILED


def test_helpers(manager: Remote) -> None:
    assert manager("ListHelpers") == []
    assert error_of(manager, "RemoveHelper", "nobody").name == BusError.FAILED


def test_a_contact_is_renamed_blocked_and_unblocked(contact: Remote) -> None:
    assert contact("Rename", "  Bora   B. ") == "Bora B."
    until(lambda: contact["Name"] == "Bora B.", "the new name is shown")
    assert error_of(contact, "Rename", "\u202e").name == BusError.FAILED
    contact("Rename", "bora")
    contact("Block")
    until(lambda: contact["Trust"] == "blocked", "the block is shown")
    contact("Unblock")
    until(lambda: contact["Trust"] == "unverified", "its end is shown")
    assert error_of(contact, "Unblock").name == BusError.FAILED


def test_a_contact_is_verified_by_their_digits_only(contact: Remote, both: Scene) -> None:
    number, code = contact("GetSafetyNumber")
    assert len(number) == 12
    wrong = [f"{(int(one) + 1) % 100000:05}" for one in number]
    assert error_of(contact, "Verify", " ".join(wrong)).name == BusError.FAILED
    assert error_of(contact, "Verify", code).name == BusError.FAILED  # it is our own
    theirs = both.bora.postroad("verify", "anna")
    assert theirs["number"] == number
    contact("Verify", theirs["code"])
    until(lambda: contact["Trust"] == "verified", "that they are verified is shown")
    assert contact["VerifiedAt"] > 0
    contact("ForgetVerification")
    until(lambda: contact["Trust"] == "unverified", "that they are not is shown")


def test_details_of_a_contact(contact: Remote, both: Scene) -> None:
    details = contact("GetDetails")
    assert details["Address"] == both.bora.address
    assert details["LettersUnderWay"] == 0


def test_contacts_are_exported(manager: Remote, both: Scene) -> None:
    assert both.bora.address in manager("ExportContacts", "vcard")
    assert both.bora.address in manager("ExportContacts", "thunderbird")
    assert error_of(manager, "ExportContacts", "nonsense").name == BusError.FAILED


def test_nodes_are_pinged(contact: Remote, peer: Remote, both: Scene) -> None:
    for remote in (contact, peer):
        told = remote("Ping")
        assert told["Direct"] is True
        assert told["Milliseconds"] > 0
    assert peer["Contact"] == contact.path


# Letters


def test_a_letter_that_waits_is_tried_again_and_cancelled(
    both: Scene, asker: LibraryClient, contact: Remote
) -> None:
    both.bora.stop()
    write(both.anna, both.bora, 2)
    until(lambda: len(below(asker, contract.MESSAGE_PATH)) == 2, "both letters are shown")
    first, second = (
        Remote(asker, path, contract.MESSAGE_INTERFACE)
        for path in below(asker, contract.MESSAGE_PATH)
    )
    assert first["Recipient"] == both.bora.address
    assert first["State"] in ("waiting", "held")
    assert first["Size"] > 100
    assert Remote(asker, ROOT_PATH, MANAGER_INTERFACE)("RetryAll") == 2
    assert first("Retry")["Tried"][0]["Recipient"] == both.bora.address
    told = second("Cancel")
    assert told["State"] == "cancelled"
    until(lambda: len(below(asker, contract.MESSAGE_PATH)) == 1, "one is left")
    gone = error_of(second, "Cancel")
    assert gone.name == BusError.NO_SUCH_MESSAGE
    assert gone.sentence == f"The letter to {both.bora.address} was cancelled before."
    nowhere = Remote(asker, f"{contract.MESSAGE_PATH}/999999", contract.MESSAGE_INTERFACE)
    never = error_of(nowhere, "Retry")
    assert never.name == BusError.NO_SUCH_MESSAGE
    assert "No letter of yours has the number '999999'" in never.sentence
    in_the_way = error_of(contact, "Remove", False)
    assert in_the_way.name == BusError.FAILED
    both.bora.start()
    until(lambda: not below(asker, contract.MESSAGE_PATH), "the other one arrives", 60.0)


def test_devices(both: Scene, asker: LibraryClient) -> None:
    (path,) = below(asker, contract.DEVICE_PATH)
    refused = error_of(Remote(asker, path, contract.DEVICE_INTERFACE), "Revoke")
    assert refused.name == BusError.FAILED
    assert "this computer" in refused.sentence


@pytest.mark.parametrize("name", CLIENTS)
def test_every_client_calls_methods_and_hears_errors_by_their_names(both: Scene, name: str) -> None:
    caller = client(name)
    caller.call(ROOT_PATH, MANAGER_INTERFACE, "Pause", "u", 60)
    caller.call(ROOT_PATH, MANAGER_INTERFACE, "Resume")
    for path, member, signature, arguments, error in (
        (ROOT_PATH, "Accept", "s", ["nonsense"], BusError.INVALID_CODE),
        (ROOT_PATH, "Introduce", "ss", ["a", "b"], BusError.NO_SUCH_CONTACT),
        (ROOT_PATH, "ProtectKeys", "s", ["no"], BusError.INVALID_ARGUMENT),
    ):
        refused = error_of(caller.call, path, MANAGER_INTERFACE, member, signature, *arguments)
        assert refused.name in (error, "")  # busctl shows the sentence alone
        assert refused.sentence.endswith((".", "contacts", "="))
    for base, interface, error in (
        (contract.CONTACT_PATH, contract.CONTACT_INTERFACE, BusError.NO_SUCH_CONTACT),
        (contract.PEER_PATH, contract.PEER_INTERFACE, BusError.NO_SUCH_PEER),
    ):
        refused = error_of(caller.call, f"{base}/nobody", interface, "Ping")
        assert refused.name in (error, "")


def test_a_contact_is_removed(both: Scene, asker: LibraryClient, contact: Remote) -> None:
    """The last test of this node."""
    assert contact("Remove", True)["Address"] == both.bora.address
    until(lambda: not below(asker, contract.CONTACT_PATH), "the contact goes")
    assert error_of(contact, "Block").name == BusError.NO_SUCH_CONTACT


def test_every_method_was_called(both: Scene) -> None:
    assert set(methods.METHODS) - CALLED == LATER

"""What nodes say to each other, and what nobody can say in another's name."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes import NOW, peer, someone
from postroad.base import limits
from postroad.base.errors import PeerMisbehaved
from postroad.protocol import wire, wire_changes, wire_helping, wire_holders, wire_reach
from postroad.protocol import wire_directory as directory
from postroad.protocol.contacts import CONTACT_BYTES_MAX, encode_contact
from postroad.protocol.wire_reseal import LeaveReseal, Reseal
from postroad.sealing.keys import SigningKey
from postroad.sealing.receipt import RECEIPT_BYTES

DROP_KEY = SigningKey(b"d" * 32)
HOLDER, ASKER, OTHER = someone("ben"), someone("anna"), someone("carl")
ID, DROP, SIGNED = b"m" * 32, b"d" * 16, b"s" * 64
RECEIPT = b"r" * RECEIPT_BYTES
DEPOSIT = wire.Deposit(DROP, ID, 5000, int(NOW) + 3600, None, None)
VOUCHER = wire_holders.Voucher("f" * 32, ID, ID, int(NOW), SIGNED)
RESEAL = Reseal(ID, bytes(range(16)), 2**63 - 1, SIGNED)
INTRODUCED = wire_holders.Introduced(encode_contact(HOLDER.contact), b"\xff" * 3, VOUCHER)
KEPT = wire_holders.Kept(ID, 1, 2**63 - 1, int(NOW), 1, b"h" * 32)
OWNED: list[Any] = [
    wire.Rent(DROP, DROP_KEY.public, b"record", bytes(64), None),
    wire.Tickets(DROP, b"h" * 64, bytes(64)),
    wire.List(DROP, 0, bytes(64)),
    wire.Fetch(DROP, ID, bytes(64)),
    wire.Delete(DROP, ID, RECEIPT, bytes(64), SIGNED),
]
MESSAGES: list[wire.Message] = [
    wire.Deliver(ID, 2**32 - 1, None, None),
    wire.Deliver(ID, 5, bytes(range(16)), bytes(range(12))),
    wire.Deposit(DROP, ID, 5000, int(NOW) + 3600, None, bytes(range(12))),
    DEPOSIT,
    replace(DEPOSIT, ticket=b"t" * 16),
    wire.Take(),
    wire.Leased(wire.Lease(DROP, ID, 5000, 2**63 - 1), SIGNED),
    wire.Tombstone(ID, RECEIPT),
    wire.Receipt(ID, RECEIPT),
    wire.Ask(DROP, (ID,) * wire.ASK_MAX),
    wire.Known((), ()),
    wire.Known((wire.Tombstone(ID, RECEIPT),) * wire.ASK_MAX, (RESEAL,) * wire.ASK_MAX),
    RESEAL,
    LeaveReseal(DROP, RESEAL, SIGNED),
    wire.Rent(DROP, ID, b"r" * limits.RECORD_BYTES_MAX, SIGNED, None),
    wire.Tickets(DROP, b"", SIGNED),
    wire.Tickets(DROP, b"h" * 32 * limits.TICKETS_PER_DROP_MAX, SIGNED),
    wire.List(DROP, 7, SIGNED),
    wire.Listing(()),
    wire.Listing((wire.Listed(ID, 1, 2**63 - 1),) * wire.LISTING_MAX),
    wire.Fetch(DROP, ID, SIGNED),
    wire.Letter(0),
    wire.Delete(DROP, ID, RECEIPT, SIGNED, SIGNED),
    wire.News(DROP),
    wire.FindRecord("f" * 32),
    wire.Record(b"r"),
    wire.Ok(),
    wire.Rent(DROP, ID, b"r" * limits.RECORD_BYTES_MAX, SIGNED, VOUCHER),
    wire_holders.Holding(1, None),
    wire_holders.Holding(2, b"\xff" * 3),
    wire_holders.FindHolders(),
    wire_holders.Holders(()),
    wire_holders.Holders((INTRODUCED,) * limits.VOUCHERS_MAX),
    wire_holders.Sync(DROP, DROP, 2**63 - 1),
    wire_holders.Synced((KEPT,) * limits.SYNC_LISTING_MAX),
    wire_holders.Draw(DROP, DROP, ID),
    wire_holders.Burial(ID, RECEIPT, SIGNED),
    wire.No(wire.Refusal.FULL, "Für später: " + "ü" * 90),
    directory.Ping(None),
    directory.Ping(b"c" * 33),
    directory.FindNode(b"c" * 107, b"k" * 20),
    directory.FindValue(None, b"k" * 20),
    directory.Store(b"c" * 33, b"r" * limits.RECORD_BYTES_MAX),
    directory.Nodes((), None),
    directory.Nodes((b"c" * 107,) * 16, b"r" * limits.RECORD_BYTES_MAX),
    wire_changes.Changed(b"r" * limits.REVOKE_BYTES_MAX, None),
    wire_changes.Changed(b"r" * limits.ROTATE_BYTES_MAX, b"p" * limits.RECORD_BYTES_MAX),
    wire_changes.FindChanges("f" * 32),
    wire_changes.Changes(()),
    wire_changes.Changes((b"r" * limits.ROTATE_BYTES_MAX,) * wire_changes.CHANGES_MAX),
    wire_reach.Who(),
    wire_reach.Seen(int(NOW), None, None),
    wire_reach.Seen(int(NOW), b"a" * 18, b"\xb5\x80"),
    wire_reach.DialBack(None),
    wire_reach.DialBack(b"\xb5\x80"),
    wire_reach.DialledBack(b"a" * 6, True, False),
    wire_helping.SignIn(b"r" * limits.RECORD_BYTES_MAX, None),
    wire_helping.SignIn(b"r", b"s" * 16),
    wire_helping.SignedIn(b"c" * CONTACT_BYTES_MAX, "n" * limits.HELPER_NAME_BYTES_MAX),
]


def heard(octets: bytes) -> wire.Message:
    head, body = octets[: wire.FRAME_HEAD], octets[wire.FRAME_HEAD :]
    assert wire.body_size(head) == len(body)
    return wire.unframe(head, body)


@pytest.mark.parametrize("message", MESSAGES, ids=lambda one: type(one).__name__)
def test_each_message_even_the_largest_is_heard_as_it_was_said(message: wire.Message) -> None:
    octets = wire.frame(message)
    assert len(octets) <= wire.FRAME_HEAD + limits.FRAME_BYTES_MAX
    assert heard(octets) == message


def test_no_kind_of_message_is_forgotten_above() -> None:
    assert {type(message) for message in MESSAGES} == set(wire._KINDS.values())
    numbers = [wire.frame(message)[0] for message in MESSAGES]
    assert set(numbers) == set(wire._KINDS)


def test_a_frame_that_is_too_large_is_refused_before_its_bytes_are_awaited() -> None:
    assert wire.body_size(b"\1" + limits.FRAME_BYTES_MAX.to_bytes(4, "big")) == 64 * limits.KIB
    for size in (limits.FRAME_BYTES_MAX + 1, 2**31, 2**32 - 1):
        with pytest.raises(PeerMisbehaved):
            wire.body_size(b"\1" + size.to_bytes(4, "big"))


@pytest.mark.parametrize("kind", [0, 21, 49, 57, 255])
def test_a_message_of_unknown_kind_is_refused(kind: int) -> None:
    with pytest.raises(PeerMisbehaved):
        wire.unframe(bytes([kind]) + bytes(4), b"")


@given(st.integers(0, 255), st.binary(max_size=200))
def test_noise_is_refused_or_is_the_one_form_of_what_it_says(kind: int, noise: bytes) -> None:
    head = bytes([kind]) + len(noise).to_bytes(4, "big")
    try:
        message = wire.unframe(head, noise)
    except PeerMisbehaved:
        return
    assert wire.frame(message) == head + noise


@given(st.sampled_from(MESSAGES), st.data())
def test_a_changed_byte_is_refused_or_says_something_else(
    message: wire.Message, data: st.DataObject
) -> None:
    octets = bytearray(wire.frame(message))
    at = data.draw(st.integers(0, len(octets) - 1))
    octets[at] ^= data.draw(st.integers(1, 255))
    head, body = bytes(octets[:5]), bytes(octets[5:])
    try:
        found = wire.unframe(head, body)
    except PeerMisbehaved:
        return
    assert wire.frame(found)[0] == octets[0]
    assert wire.frame(found)[5:] == body


# Who owns a drop


@pytest.mark.parametrize("request_", OWNED, ids=lambda one: type(one).__name__)
def test_the_owner_of_a_drop_is_believed_at_that_holder_on_that_link(request_: Any) -> None:
    signed = wire.sign_owner(request_, DROP_KEY, HOLDER.device.peer, ASKER.device.peer)
    assert replace(signed, signature=bytes(64)) == request_
    again = heard(wire.frame(signed))
    assert isinstance(again, type(request_))
    wire.check_owner(again, DROP_KEY.public, HOLDER.device.peer, ASKER.device.peer)


@pytest.mark.parametrize("request_", OWNED, ids=lambda one: type(one).__name__)
def test_a_request_overheard_is_of_no_use_to_anybody_else(request_: Any) -> None:
    holder, asker, other = HOLDER.device.peer, ASKER.device.peer, OTHER.device.peer
    signed = wire.sign_owner(request_, DROP_KEY, holder, asker)
    for key, at, by in (
        (DROP_KEY.public, other, asker),  # a holder who asks another holder
        (DROP_KEY.public, holder, other),
        (DROP_KEY.public, asker, holder),
        (peer(9), holder, asker),
        (b"\1" + bytes(31), holder, asker),
    ):
        with pytest.raises(PeerMisbehaved):
            wire.check_owner(signed, key, at, by)


@pytest.mark.parametrize("request_", OWNED, ids=lambda one: type(one).__name__)
def test_no_part_of_a_signed_request_can_be_changed(request_: Any) -> None:
    holder, asker = HOLDER.device.peer, ASKER.device.peer
    signed = wire.sign_owner(request_, DROP_KEY, holder, asker)
    octets = wire.frame(signed)
    for at in range(5, len(octets), 7):
        changed = bytearray(octets)
        changed[at] ^= 1
        try:
            again = wire.unframe(bytes(changed[:5]), bytes(changed[5:]))
        except PeerMisbehaved:
            continue
        assert isinstance(again, wire.OwnerRequest)
        with pytest.raises(PeerMisbehaved):
            wire.check_owner(again, DROP_KEY.public, holder, asker)


def test_the_signature_of_one_request_is_not_another_requests() -> None:
    """Delete and Fetch name the same things."""
    holder, asker = HOLDER.device.peer, ASKER.device.peer
    fetch = wire.sign_owner(wire.Fetch(DROP, ID, bytes(64)), DROP_KEY, holder, asker)
    for other in OWNED:
        if not isinstance(other, wire.Fetch):
            with pytest.raises(PeerMisbehaved):
                wire.check_owner(
                    replace(other, signature=fetch.signature), DROP_KEY.public, holder, asker
                )


# Leases


def lease(**changes: Any) -> wire.Lease:
    until = DEPOSIT.expires + limits.EXPIRY_GRACE_SECONDS
    return replace(wire.Lease(DROP, ID, DEPOSIT.size, until), **changes)


def test_a_lease_is_the_holders_word_for_one_letter() -> None:
    wire.check_lease(wire.sign_lease(lease(), HOLDER.device), HOLDER.device.peer, DEPOSIT)


@pytest.mark.parametrize(
    "change",
    [
        {"drop": bytes(16)},
        {"mail_id": bytes(32)},
        {"size": DEPOSIT.size - 1},
        {"until": DEPOSIT.expires - 1},
        {"until": 0},
    ],
)
def test_a_lease_for_another_letter_or_too_short_a_time_is_refused(change: dict[str, Any]) -> None:
    leased = wire.sign_lease(lease(**change), HOLDER.device)
    with pytest.raises(PeerMisbehaved):
        wire.check_lease(leased, HOLDER.device.peer, DEPOSIT)


def test_a_lease_that_the_holder_did_not_sign_is_refused() -> None:
    for leased in (
        wire.sign_lease(lease(), OTHER.device),
        wire.Leased(lease(), bytes(64)),
        replace(wire.sign_lease(lease(), HOLDER.device), lease=lease(until=2**62)),
    ):
        with pytest.raises(PeerMisbehaved):
            wire.check_lease(leased, HOLDER.device.peer, DEPOSIT)


def test_two_messages_of_one_number_are_an_error_when_the_program_starts() -> None:
    assert wire.together({1: wire.Ok}, {2: wire.No}) == {1: wire.Ok, 2: wire.No}
    with pytest.raises(ValueError, match="No has the number 1"):
        wire.together({1: wire.Ok}, {1: wire.No})
    with pytest.raises(ValueError, match="Ok has the number 2"):
        wire.together({1: wire.Ok}, {2: wire.Ok})

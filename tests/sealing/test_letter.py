"""Sealed letters, against people who hold them, forge them, or were once their recipients.

The hostile letters are made with the primitives alone (`forger`), so that writer and reader are not
wrong together.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes import NOW, Someone, someone
from postroad.base import limits
from postroad.base.errors import PeerMisbehaved, TemporaryFailure
from postroad.base.ids import Instant
from postroad.base.tlv import decode, encode
from postroad.sealing import keys, letter
from postroad.sealing.certificate import Certificate, certify
from postroad.sealing.keys import EpochKey, SigningKey
from postroad.sealing.letter import (
    CHUNK,
    MAGIC,
    PREFIX,
    TAG,
    WRAP,
    Header,
    Introduction,
    Kind,
    NotOpened,
    Opened,
    Person,
    open_sealed,
    padded_size,
    seal,
)
from sealing import forger
from sealing.forger import KEY, chunks_of, expand, tlv

ANNA, BEN, CARL = someone("anna"), someone("ben"), someone("carl")


def sealed_size(content_size: int) -> int:
    """The size of the sealed letter around padded content of `content_size` bytes."""
    return PREFIX + content_size + max(1, -(-content_size // CHUNK)) * TAG + WRAP


def person(who: Someone) -> Person:
    return Person(str(who.address), who.fingerprint)


def header_for(body: bytes) -> Header:
    """From Anna to Ben."""
    return Header(
        letter.VERSION,
        letter.SUITE,
        Kind.PERSON,
        person(ANNA),
        ANNA.device.public,
        (person(BEN),),
        person(BEN),
        keys.epoch_key_id(BEN.epoch.public),
        False,
        bytes(16),
        int(NOW),
        int(NOW) + limits.EXPIRY_SECONDS_MAX,
        len(body),
        hashlib.sha256(body).digest(),
        None,
        None,
    )


def sealed_pieces(header: Header, body: bytes) -> Iterator[bytes]:
    return seal(
        header,
        body,
        device=ANNA.device,
        certificate=ANNA.certificate,
        epoch_public=BEN.epoch.public,
        content_key=KEY,
    )


def sealed(body: bytes) -> bytes:
    return b"".join(sealed_pieces(header_for(body), body))


def opened(octets: bytes, *epoch_keys: EpochKey, size: int | None = None) -> Opened:
    known = {keys.epoch_key_id(key.public): key for key in epoch_keys or (BEN.epoch,)}
    return open_sealed(
        lambda offset, wanted: octets[offset : offset + wanted],
        len(octets) if size is None else size,
        known,
        NOW,
    )


def refused(octets: bytes, size: int | None = None) -> str:
    """It is, with the words that are the same for all; what the owner of the node is told."""
    with pytest.raises(NotOpened, match=r"^a sealed letter does not open$") as caught:
        opened(octets, size=size)
    return caught.value.reason


# What a forger does, who knows the layout and Ben's public epoch key


def wrap(payload: bytes, secret: bytes | None = None, context: bytes = b"postroad/wrap/1") -> bytes:
    return forger.wrap(BEN.epoch.public, payload, secret, context)


def assemble(payload: bytes, *wraps: bytes) -> bytes:
    return forger.assemble(payload, *(wraps or (wrap(payload),)))


def content_of(
    header: Header,
    body: bytes,
    *,
    signature: bytes | None = None,
    certificate: Certificate = ANNA.certificate,
    device: SigningKey = ANNA.device,
    pad_to: int | None = None,
    pad_with: bytes = b"\0",
) -> bytes:
    said = encode(header)
    if signature is None:
        signature = device.sign(b"postroad/letter/1", said)
    front = tlv(said, signature, encode(certificate))
    content = len(front).to_bytes(4, "big") + front + body
    return content.ljust(padded_size(len(content)) if pad_to is None else pad_to, pad_with)


def forged(content: bytes) -> bytes:
    return forger.sealed_to(BEN.epoch.public, content)


BODY = b"From: anna\r\n\r\nDear Ben,\r\n"
FRONT = len(content_of(header_for(b""), b"", pad_to=0))


# The letter arrives


def test_the_documented_layout_opens_as_what_was_sealed() -> None:
    """The forger of these tests is a correct writer when it does not cheat."""
    found = opened(forged(content_of(header_for(BODY), BODY)))
    assert found.body == BODY
    assert found.header == header_for(BODY)
    assert found.content_key == KEY
    assert found.certificate == ANNA.certificate


@pytest.mark.parametrize(
    "size",
    [0, 1, 2]
    + [
        chunks * CHUNK - FRONT + off
        for chunks in (1, 2)
        for off in (-2049, -1, 0, 1, 2048)
    ]
    + [3 * CHUNK],
)  # fmt: skip
def test_a_letter_of_any_size_arrives_as_it_was_written(size: int) -> None:
    body = bytes((7 * at) % 251 for at in range(size))
    pieces = list(sealed_pieces(header_for(body), body))
    assert max(map(len, pieces)) <= max(CHUNK + TAG, WRAP)
    octets = b"".join(pieces)
    assert len(octets) == sealed_size(padded_size(FRONT + size))
    found = opened(octets)
    assert found.body == body
    assert (found.sender, found.nonce, found.device) == (
        ANNA.fingerprint,
        bytes(16),
        ANNA.device.peer,
    )
    assert found.header_hash == hashlib.sha256(encode(header_for(body))).digest()


def test_a_letter_of_the_greatest_size_fits_what_holders_take() -> None:
    assert sealed_size(padded_size(limits.LETTER_BYTES_MAX + CHUNK)) <= limits.SEALED_BYTES_MAX


def test_a_header_with_all_recipients_and_an_introduction_still_opens() -> None:
    body = b"x"
    others = (f"{number:032}" for number in range(limits.RECIPIENTS_MAX - 1))
    longest = tuple(Person("n" * 31 + f".{other}@postroad.alt", other) for other in others)
    full = replace(
        header_for(body),
        kind=Kind.INTRODUCTION,
        visible=(*longest, person(BEN)),
        introduction=Introduction(bytes(16), bytes(16), bytes(limits.RECORD_BYTES_MAX), None),
    )
    assert opened(b"".join(sealed_pieces(full, body))).header == full


def test_the_sealed_letter_comes_in_pieces_and_not_before_it_is_asked_for() -> None:
    body = bytes(5 * CHUNK)
    pieces = sealed_pieces(header_for(body), body)
    assert len(next(pieces)) == PREFIX
    assert len(next(pieces)) == CHUNK + TAG


def test_opening_reads_in_bounded_pieces() -> None:
    octets = sealed(bytes(5 * CHUNK))
    asked: list[int] = []

    def read(offset: int, size: int) -> bytes:
        asked.append(size)
        return octets[offset : offset + size]

    open_sealed(read, len(octets), {keys.epoch_key_id(BEN.epoch.public): BEN.epoch}, NOW)
    assert max(asked) <= CHUNK + TAG


def test_sealing_twice_gives_bytes_that_nobody_can_match() -> None:
    assert sealed(BODY) != sealed(BODY)


# Padding


@given(st.integers(2, 2**26))
def test_padding_adds_at_most_an_eighth_and_leaves_few_sizes(size: int) -> None:
    padded = padded_size(size)
    assert size <= padded <= size * 1.12 + 1
    assert padded_size(padded) == padded
    exponent = padded.bit_length() - 1
    assert padded % (1 << (exponent - exponent.bit_length())) == 0


@given(st.integers(0, 2**26), st.integers(0, 2**26))
def test_a_longer_letter_never_looks_shorter(one: int, other: int) -> None:
    low, high = sorted((one, other))
    assert padded_size(low) <= padded_size(high)


def test_all_letters_up_to_25_mib_have_fewer_than_a_thousand_sizes() -> None:
    found, size = 0, 1
    while size <= limits.LETTER_BYTES_MAX:
        size = padded_size(size) + 1
        found += 1
    assert found < 1000


# What a holder may do to the bytes


def test_a_flipped_bit_in_any_byte_is_noticed() -> None:
    octets = sealed(BODY)
    for at in range(len(octets)):
        broken = bytearray(octets)
        broken[at] ^= 1 << at % 8
        refused(bytes(broken))


@pytest.mark.parametrize("body", [BODY, bytes(CHUNK + 9000)], ids=["small", "chunks"])
def test_a_letter_cut_short_is_noticed(body: bytes) -> None:
    octets = sealed(body)
    for size in {*range(0, len(octets), 997), *range(40), *range(len(octets) - 40, len(octets))}:
        refused(octets[:size])
        refused(octets[:size], size=len(octets))  # the file is shorter than it was said to be


def test_whatever_is_added_to_a_letter_is_noticed() -> None:
    octets = sealed(BODY)
    for extra in (b"\0", bytes(TAG), bytes(WRAP), octets):
        refused(octets + extra)
        refused(octets + extra, size=len(octets) + len(extra))
        refused(extra + octets)


def test_chunks_in_another_order_are_noticed_even_by_who_wraps_them_anew() -> None:
    """Somebody with the content key, as each recipient of one ciphertext would be."""
    body = bytes(range(256)) * 1024  # five chunks
    chunks = chunks_of(content_of(header_for(body), body))
    assert opened(assemble(b"".join(chunks))).body == body
    for other in (
        [chunks[1], chunks[0], *chunks[2:]],
        [chunks[0], chunks[2], chunks[1], *chunks[3:]],
        chunks[:-1],
        [*chunks[:-2], chunks[-1]],
        [*chunks, chunks[-1]],
        [chunks[0], *chunks],
        [chunks[-1]],
        [*chunks[:-1], chunks[-1][:-1]],
        [*chunks[:-1], chunks[-1][: TAG - 1]],
        [*chunks, b"12345"],
        [],
    ):
        refused(assemble(b"".join(other)))


# Whose letter it is


def test_a_letter_for_another_key_is_not_tried() -> None:
    octets = sealed(BODY)
    for known in ((CARL.epoch,), (CARL.epoch, ANNA.epoch)):
        with pytest.raises(NotOpened) as caught:
            opened(octets, *known)
        assert "does not have" in caught.value.reason
    assert opened(octets, CARL.epoch, BEN.epoch).body == BODY


def test_a_letter_that_names_one_epoch_key_and_was_sealed_to_another_is_refused() -> None:
    octets = bytearray(sealed(BODY))
    octets[-WRAP : -WRAP + 16] = keys.epoch_key_id(CARL.epoch.public)
    with pytest.raises(NotOpened):
        opened(bytes(octets), CARL.epoch)


def test_a_letter_to_anna_passed_on_to_ben_is_not_taken_for_one_to_ben() -> None:
    """Surreptitious forwarding: the header names the key that it was sealed to."""
    to_carl = replace(
        header_for(BODY), recipient=person(CARL), epoch_key=keys.epoch_key_id(CARL.epoch.public)
    )
    refused(forged(content_of(to_carl, BODY)))


def test_a_content_key_that_does_not_match_its_commitment_is_refused() -> None:
    payload = b"".join(chunks_of(content_of(header_for(BODY), BODY)))
    other = bytes(32)
    for secret in (
        KEY + expand(other, b"commitment"),
        other + expand(KEY, b"commitment"),
        other + expand(other, b"commitment"),
        KEY + bytes(32),
    ):
        refused(assemble(payload, wrap(payload, secret)))
    false = bytes(32)  # one that wrap and payload agree upon: it commits to no key
    payload = b"".join(chunks_of(content_of(header_for(BODY), BODY), false))
    refused(assemble(payload, wrap(payload, KEY + false)))


def test_a_wrap_made_for_another_payload_or_purpose_is_refused() -> None:
    payload = b"".join(chunks_of(content_of(header_for(BODY), BODY)))
    refused(assemble(payload, wrap(payload + b"\0")))
    refused(assemble(payload, wrap(payload, context=b"postroad/wrap/2")))


def test_nobody_can_make_another_letter_out_of_one_by_adding_a_wrap() -> None:
    """Each would have had a mail id of its own, and been opened and answered anew."""
    payload = b"".join(chunks_of(content_of(header_for(BODY), BODY)))
    mine, other = wrap(payload), keys.epoch_key_id(CARL.epoch.public) + bytes(WRAP - 16)
    assert opened(assemble(payload, mine)).body == BODY
    for wraps in ((mine, other), (other, mine), (mine, mine), (other, other, other, mine)):
        refused(assemble(payload, *wraps))
    refused(MAGIC + b"\0" + len(payload).to_bytes(8, "big") + payload)
    refused(MAGIC + b"\0" + len(payload).to_bytes(8, "big") + payload + mine)


# Who signed it


def test_a_header_changed_and_signed_by_another_device_is_refused() -> None:
    changed = replace(header_for(BODY), nonce=b"n" * 16)
    refused(forged(content_of(changed, BODY, device=BEN.device)))
    refused(forged(content_of(changed, BODY, device=BEN.device, certificate=BEN.certificate)))
    with_device = replace(changed, device=BEN.device.public)
    refused(forged(content_of(with_device, BODY, device=BEN.device)))
    refused(forged(content_of(with_device, BODY, device=BEN.device, certificate=BEN.certificate)))


def test_a_certificate_of_another_identity_for_the_same_device_is_refused() -> None:
    stolen = certify(BEN.identity, ANNA.device.peer, NOW)
    refused(forged(content_of(header_for(BODY), BODY, certificate=stolen)))


def test_an_address_is_bound_to_nothing_but_the_signers_fingerprint() -> None:
    as_carl = replace(header_for(BODY), sender=Person(str(ANNA.address), CARL.fingerprint))
    refused(forged(content_of(as_carl, BODY)))


def test_a_signature_over_another_header_or_of_another_kind_is_refused() -> None:
    header = header_for(BODY)
    for signature in (
        ANNA.device.sign(b"postroad/letter/1", encode(replace(header, nonce=b"n" * 16))),
        ANNA.device.sign(b"postroad/receipt/1", encode(header)),
        bytes(64),
    ):
        refused(forged(content_of(header, BODY, signature=signature)))


def test_a_body_that_was_not_signed_is_refused() -> None:
    header = header_for(BODY)
    refused(forged(content_of(header, BODY[:-1] + b"!")))
    refused(forged(content_of(header, BODY + b"!")))
    refused(forged(content_of(header, BODY[:-1])))
    refused(forged(content_of(replace(header, digest=bytes(32)), BODY)))


@pytest.mark.parametrize(
    "change",
    [
        lambda header: replace(header, version=2),
        lambda header: replace(header, kind=0),
        lambda header: replace(header, kind=3),
        lambda header: replace(header, kind=max(Kind) + 1),
        lambda header: replace(header, kind=255),
        lambda header: replace(header, kind=Kind.INTRODUCTION),
        lambda header: replace(header, introduction=Introduction(None, bytes(16), b"x", None)),
        lambda header: replace(header, blind=True),
        lambda header: replace(header, visible=(person(CARL),)),
        lambda header: replace(header, visible=()),
        lambda header: replace(header, visible=(person(BEN), person(BEN))),
        lambda header: replace(
            header, visible=(*header.visible, Person("other", BEN.fingerprint))
        ),
        lambda header: replace(header, created=header.expires, expires=header.created),
        lambda header: replace(header, suite=2),
        lambda header: replace(header, size=len(BODY) - 1),
        lambda header: replace(header, size=len(BODY) + 1),
        lambda header: replace(
            header, size=limits.LETTER_BYTES_MAX + limits.TRACE_BYTES_MAX + 1
        ),
        lambda header: replace(header, size=2**63 - 1),
        lambda header: replace(header, epoch_key=bytes(16)),
        lambda header: replace(header, created=int(NOW) - 2 * limits.DAY),
        lambda header: replace(header, created=0),
        lambda header: replace(header, created=2**63 - 1),
        lambda header: replace(header, expires=2**63 - 1),
        lambda header: replace(header, expires=header.created + limits.EXPIRY_SECONDS_MAX + 86401),
    ],
)  # fmt: skip
def test_a_header_that_its_own_sender_signed_may_still_be_refused(
    change: Callable[[Header], Header],
) -> None:
    refused(forged(content_of(change(header_for(BODY)), BODY)))


def test_a_letter_from_the_future_may_be_opened_later() -> None:
    """It may be our own clock that is wrong: then it must not be put aside for good."""
    created = int(NOW) + 2 * limits.DAY
    header = replace(header_for(BODY), created=created, expires=created + limits.DAY)
    octets = forged(content_of(header, BODY))
    with pytest.raises(TemporaryFailure, match="clocks is wrong"):
        opened(octets)


def test_a_letter_may_wait_for_longer_than_its_senders_certificate_lasts() -> None:
    written = Instant(NOW - limits.DEVICE_CERTIFICATE_SECONDS - limits.DAY)
    dora = someone("dora", written)
    header = replace(
        header_for(BODY),
        sender=person(dora),
        device=dora.device.public,
        created=int(written),
        expires=int(written) + limits.EXPIRY_SECONDS_MAX,
    )
    content = content_of(header, BODY, certificate=dora.certificate, device=dora.device)
    assert opened(forged(content)).body == BODY
    late = replace(header, created=int(NOW), expires=int(NOW) + 3600)
    refused(forged(content_of(late, BODY, certificate=dora.certificate, device=dora.device)))


# Content that decrypts, and is not as it should be


def test_padding_says_nothing_and_has_one_size() -> None:
    header = header_for(BODY)
    honest = len(content_of(header, BODY))
    for size in (honest + 1, 2 * honest, CHUNK + 1, FRONT + len(BODY)):
        if size != honest:
            refused(forged(content_of(header, BODY, pad_to=size)))
    refused(forged(content_of(header, BODY, pad_with=b"\1")))
    content = bytearray(content_of(header, BODY))
    content[-1] = 1
    refused(forged(bytes(content)))


@given(st.binary(max_size=300))
@settings(max_examples=50)
def test_noise_in_a_letter_of_the_right_form_is_refused(content: bytes) -> None:
    refused(forged(content))


@given(st.integers(0, FRONT - 1), st.integers(1, 255))
def test_a_forger_who_changes_any_byte_of_the_front_gains_nothing(at: int, change: int) -> None:
    content = bytearray(content_of(header_for(BODY), BODY))
    content[at] ^= change
    refused(forged(bytes(content)))


@pytest.mark.parametrize("front", [2**32 - 1, 2**31, CHUNK, 0])
def test_a_front_that_claims_another_size_is_refused(front: int) -> None:
    content = content_of(header_for(BODY), BODY)
    refused(forged(front.to_bytes(4, "big") + content[4:]))
    refused(forged(front.to_bytes(4, "big") + content[4:] + bytes(CHUNK)))


@given(st.binary(max_size=100))
def test_noise_is_no_letter(noise: bytes) -> None:
    refused(noise)
    refused(MAGIC + noise)
    refused(MAGIC + b"\1" + noise)


def test_a_letter_that_says_it_is_huge_is_refused_before_it_is_read() -> None:
    for size in (2**64 - 1, 2**63, limits.SEALED_BYTES_MAX):
        head = MAGIC + b"\1" + size.to_bytes(8, "big")
        read: list[int] = []

        def look(offset: int, wanted: int, head: bytes = head, read: list[int] = read) -> bytes:
            read.append(wanted)
            return head[offset : offset + wanted]

        with pytest.raises(NotOpened):
            open_sealed(look, PREFIX + size + WRAP, {}, NOW)
        assert read == [PREFIX]


def test_a_blind_copy_names_its_recipient_nowhere_but_as_such() -> None:
    header = replace(header_for(BODY), visible=(person(CARL),), blind=True)
    assert opened(b"".join(sealed_pieces(header, BODY))).header == header


@pytest.mark.parametrize("size", [0, 1, 3 * CHUNK])
def test_what_is_put_on_top_of_a_letter_stands_above_its_body(size: int) -> None:
    body = bytes(range(256)) * (size // 256) + bytes(size % 256)
    octets = sealed(body)
    found = open_sealed(
        lambda offset, wanted: octets[offset : offset + wanted],
        len(octets),
        {keys.epoch_key_id(BEN.epoch.public): BEN.epoch},
        NOW,
        lambda header: b"For: " + header.recipient.address.encode() + b"\r\n",
    )
    top = f"For: {BEN.address}\r\n".encode()
    assert (found.octets, found.above, found.body) == (top + body, len(top), body)


@pytest.mark.parametrize("size", [0, 1, 15, 17])
def test_a_secret_of_an_introduction_is_16_bytes_or_not_there(size: int) -> None:
    whole = encode(Introduction(b"s" * 16, b"t" * 16, b"record", None))
    secret, rest = whole[:19], whole[19:]
    assert decode(Introduction, rest).secret is None
    assert decode(Introduction, secret + rest) == decode(Introduction, whole)
    with pytest.raises(PeerMisbehaved):
        decode(Introduction, b"\x01" + size.to_bytes(2, "big") + b"s" * size + rest)

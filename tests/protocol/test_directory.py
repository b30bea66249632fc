"""Nothing in the directory is a claim: ids and keys are hashes, and records say where they lie."""

import hashlib

import pytest

from fakes import NOW, peer, someone
from postroad.base import limits
from postroad.base.errors import PeerMisbehaved
from postroad.base.tlv import encode
from postroad.protocol.directory import (
    Statement,
    check_time,
    node_id,
    read_statement,
    record_key,
)
from postroad.protocol.records import PERSON

ANNA = someone("anna")


def test_a_node_id_is_the_hash_of_its_key() -> None:
    assert node_id(peer(1)) == hashlib.sha256(b"postroad node" + peer(1)).digest()[:20]


def test_a_record_lies_at_the_hash_of_its_kind_and_identity() -> None:
    said = b"postroad rec\x01" + ANNA.fingerprint.encode()
    assert record_key(PERSON, ANNA.fingerprint) == hashlib.sha256(said).digest()[:20]
    assert record_key(2, ANNA.fingerprint) != record_key(PERSON, ANNA.fingerprint)


def test_a_record_says_itself_where_it_lies_and_until_when() -> None:
    record = ANNA.record(7)
    statement = read_statement(encode(record), NOW)
    assert statement == Statement(PERSON, ANNA.fingerprint, record.sequence, record.expires)
    assert statement.key == record_key(PERSON, ANNA.fingerprint)


@pytest.mark.parametrize("at", range(0, 3000, 97))
def test_a_record_with_one_changed_byte_is_not_believed(at: int) -> None:
    octets = bytearray(encode(ANNA.record(7)))
    octets[at % len(octets)] ^= 1
    with pytest.raises(PeerMisbehaved):
        read_statement(bytes(octets), NOW)


@pytest.mark.parametrize(
    "octets", [b"", b"\x01\x00\x01", b"\x01\x00\x01\x63abc", b"x" * (limits.RECORD_BYTES_MAX + 1)]
)
def test_what_is_no_record_is_refused(octets: bytes) -> None:
    with pytest.raises(PeerMisbehaved):
        read_statement(octets, NOW)


def test_a_record_has_a_time() -> None:
    def statement(expires: float) -> Statement:
        return Statement(PERSON, ANNA.fingerprint, 1, expires)

    check_time(statement(NOW + 1), NOW)
    check_time(statement(NOW + limits.RECORD_SECONDS_MAX), NOW)
    with pytest.raises(PeerMisbehaved, match="expired"):
        check_time(statement(NOW), NOW)
    with pytest.raises(PeerMisbehaved, match="future"):
        check_time(statement(NOW + limits.RECORD_SECONDS_MAX + limits.DAY + 1), NOW)

"""Keys: words that bring an identity back, and a loader that lets no bad key in."""

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from fakes import FakeEntropy, someone
from postroad.base.errors import PeerMisbehaved, PermanentFailure
from postroad.base.ids import fingerprint_from_digest, is_fingerprint
from postroad.sealing import keys
from postroad.sealing.keys import (
    EPOCH_PUBLIC_BYTES,
    EpochKey,
    Identity,
    IdentityPublic,
    SigningKey,
    identity_from_words,
    load_ed25519,
    load_epoch_key,
    verify,
)

P = 2**255 - 19
ORDER_EIGHT = 2707385501144840649318225287225658788936804267575313519463743609750303402022
SMALL_ORDER = [0, 1, P - 1, ORDER_EIGHT, P - ORDER_EIGHT]
NOT_CANONICAL = [P, P + 1]  # 0 and 1, written a second way
EVERYBODYS_SIGNATURE = b"\x01" + bytes(31) + bytes(32)  # R the identity, S zero

BAD_X25519 = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
]


def encodings(y: int) -> list[bytes]:
    """The encoding of y with either sign of x."""
    return [(y | sign << 255).to_bytes(32, "little") for sign in (0, 1)]


@pytest.mark.parametrize(
    "bad", [one for y in SMALL_ORDER + NOT_CANONICAL for one in encodings(y)], ids=bytes.hex
)
def test_a_key_for_which_one_signature_fits_all_letters_is_refused(bad: bytes) -> None:
    with pytest.raises(PeerMisbehaved):
        load_ed25519(bad)
    with pytest.raises(PeerMisbehaved):
        verify(bad, b"any", b"letter", EVERYBODYS_SIGNATURE)


def test_the_library_alone_would_believe_everybodys_signature() -> None:
    """Why the loader exists; when this fails the library has become stricter."""
    Ed25519PublicKey.from_public_bytes(encodings(1)[0]).verify(EVERYBODYS_SIGNATURE, b"any letter")


@pytest.mark.parametrize("y", range(P, 2**255))
def test_each_encoding_above_the_prime_is_refused(y: int) -> None:
    for bad in encodings(y):
        with pytest.raises(PeerMisbehaved):
            load_ed25519(bad)


@given(st.binary(max_size=80).filter(lambda one: len(one) != 32))
def test_a_key_of_another_length_is_refused(bad: bytes) -> None:
    with pytest.raises(PeerMisbehaved):
        load_ed25519(bad)


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=80))
def test_no_key_and_no_signature_of_a_stranger_raises_anything_else(
    key: bytes, signature: bytes
) -> None:
    with pytest.raises(PeerMisbehaved):
        verify(key, b"context", b"letter", signature)


@given(st.binary(min_size=32, max_size=32))
def test_each_key_that_we_make_is_let_in(seed: bytes) -> None:
    key = SigningKey(seed)
    assert load_ed25519(key.public).public_bytes_raw() == key.public


def test_a_signature_means_one_thing_under_one_key() -> None:
    anna, ben = someone("anna").device, someone("ben").device
    signature = anna.sign(b"letter", b"text")
    verify(anna.public, b"letter", b"text", signature)
    high = (
        int.from_bytes(signature[32:], "little") + 2**252 + 27742317777372353535851937790883648493
    )
    for key, context, signed, shown in (
        (ben.public, b"letter", b"text", signature),
        (anna.public, b"receipt", b"text", signature),
        (anna.public, b"letter", b"texT", signature),
        (anna.public, b"letter", b"text", signature[:-1]),
        (anna.public, b"letter", b"text", signature + b"\0"),
        (anna.public, b"letter", b"text", b""),
        (anna.public, b"letter", b"text", signature[:32] + high.to_bytes(32, "little")),
        (anna.public, b"lett", b"er\0text", signature),
    ):
        with pytest.raises(PeerMisbehaved):
            verify(key, context, signed, shown)


# Epoch keys


def test_an_epoch_key_of_ours_is_let_in() -> None:
    public = someone("anna").epoch.public
    assert len(public) == EPOCH_PUBLIC_BYTES
    load_epoch_key(public)


@pytest.mark.parametrize("bad", BAD_X25519)
def test_an_epoch_key_whose_secret_everybody_knows_is_refused(bad: str) -> None:
    public = someone("anna").epoch.public
    for sign in (0, 0x80):
        x25519 = bytearray.fromhex(bad)
        x25519[31] |= sign
        with pytest.raises(PeerMisbehaved):
            load_epoch_key(public[:1184] + x25519)


@pytest.mark.parametrize("coefficient", [3329, 4095])
@pytest.mark.parametrize("place", [0, 1, 255, 383, 767])
def test_an_epoch_key_with_a_coefficient_out_of_range_is_refused(
    coefficient: int, place: int
) -> None:
    """FIPS 203 section 7.2: the modulus check."""
    public = bytearray(someone("anna").epoch.public)
    at, shift = divmod(place * 12, 8)
    pair = int.from_bytes(public[at : at + 2], "little")
    pair = pair & ~(0xFFF << shift) | coefficient << shift
    public[at : at + 2] = pair.to_bytes(2, "little")
    with pytest.raises(PeerMisbehaved):
        load_epoch_key(bytes(public))


@pytest.mark.parametrize("size", [0, 32, 1184, 1215, 1217, 2432])
def test_an_epoch_key_of_another_length_is_refused(size: int) -> None:
    with pytest.raises(PeerMisbehaved):
        load_epoch_key((someone("anna").epoch.public * 2)[:size])


@given(st.binary(min_size=1216, max_size=1216))
def test_noise_for_an_epoch_key_is_refused_in_our_words(noise: bytes) -> None:
    with pytest.raises(PeerMisbehaved):
        load_epoch_key(noise)  # by chance 768 coefficients are all in range once in 10^69


def test_an_epoch_key_is_named_by_its_public_half_alone() -> None:
    key = EpochKey(FakeEntropy(7).token(96))
    assert keys.epoch_key_id(key.public) == keys.epoch_key_id(EpochKey(key.secret).public)
    assert keys.epoch_key_id(key.public) != keys.epoch_key_id(someone("anna").epoch.public)


# Identities


@given(st.binary(min_size=32, max_size=32))
def test_24_words_bring_the_identity_back(entropy: bytes) -> None:
    identity = Identity(entropy)
    assert len(identity.words.split()) == 24
    assert identity_from_words(identity.words) == identity


def test_words_are_taken_however_a_person_writes_them() -> None:
    identity = someone("anna").identity
    words = identity.words.split()
    for written in (
        identity.words.upper(),
        "\n".join(words),
        "  " + "   ".join(words) + " ",
        "\t".join(words).title(),
    ):
        assert identity_from_words(written) == identity


def test_wrong_words_are_told_in_words_and_never_shown_as_a_whole() -> None:
    words = someone("anna").identity.words.split()
    with pytest.raises(PermanentFailure, match="24 words; these are 23"):
        identity_from_words(" ".join(words[:-1]))
    with pytest.raises(PermanentFailure, match="24 words; these are 0"):
        identity_from_words("")
    with pytest.raises(PermanentFailure, match="Not a word of the list: postroad"):
        identity_from_words(" ".join([*words[:5], "postroad", *words[6:]]))
    swapped = [words[1], words[0], *words[2:]]
    with pytest.raises(PermanentFailure, match="order") as refused:
        identity_from_words(" ".join(swapped))
    assert words[3] not in str(refused.value)


@pytest.mark.parametrize(
    ("entropy", "words", "fingerprint"),
    [
        (bytes(32), "abandon " * 23 + "art", "w3cwi47f3jiyfzxntpj56ckwztamr2z2"),
        (b"\xff" * 32, "zoo " * 23 + "vote", "perojxln4yftp6lqbeon7monnrunhs4n"),
        (bytes(range(32)), None, "dmk2t6zxh3svo6ecwjxwomgmv5ckpelj"),
    ],
)
def test_an_identity_has_the_same_address_in_every_version(
    entropy: bytes, words: str | None, fingerprint: str
) -> None:
    identity = Identity(entropy)
    assert identity.public.fingerprint == fingerprint
    assert is_fingerprint(fingerprint)
    if words is not None:  # the test vectors of BIP 39
        assert identity.words == words


def test_the_fingerprint_commits_to_both_keys() -> None:
    public = someone("anna").identity.public
    other = someone("ben").identity.public
    found = {
        public.fingerprint,
        IdentityPublic(other.ed25519, public.mldsa_hash).fingerprint,
        IdentityPublic(public.ed25519, other.mldsa_hash).fingerprint,
    }
    assert len(found) == 3
    digest = hashlib.sha256(b"postroad address" + public.ed25519 + public.mldsa_hash).digest()
    assert public.fingerprint == fingerprint_from_digest(digest)


def test_no_secret_shows_in_a_repr_and_what_is_loaded_makes_no_key_another() -> None:
    seed, secret = bytes(range(32)), bytes(range(96))
    signing, epoch = SigningKey(seed), EpochKey(secret)
    signing.sign(b"context", b"said")
    epoch.private()
    assert (signing, hash(signing)) == (SigningKey(seed), hash(SigningKey(seed)))
    assert (epoch, hash(epoch)) == (EpochKey(secret), hash(EpochKey(secret)))
    shown = repr((signing, epoch, Identity(seed)))
    assert shown == "(SigningKey(), EpochKey(), Identity())"


def test_an_epoch_key_is_loaded_once_and_forgotten_with_its_last_holder() -> None:
    key = EpochKey(bytes(range(96)))
    assert key.private() is key.private()
    assert key.public == EpochKey(bytes(range(96))).public
    assert EpochKey(bytes(range(96))).private() is not key.private()

"""What is said of a letter that was sealed to a key which its recipient has no more. Kinds 21, 22.

Purpose: a letter to an old epoch key, or to one that was lost with a device, is sealed anew instead
of lost. The statement names one sealed copy, the key that is missing, and the recipient's record as
it was then.
Authority: the recipient's device signs it, so that no holder can have a letter sealed again; the
drop's key signs what is left at a holder. The sender obeys only with a record of a higher sequence
than that for which it was sealed, signed by the same device, which names another key: once for each
such record, so that nobody can keep a sender busy, and to no other key than the record's own.
"""

from dataclasses import dataclass, replace

from postroad.base.errors import PeerMisbehaved
from postroad.base.ids import MailId, PeerId
from postroad.base.tlv import encode, fixed, nested, number
from postroad.sealing import keys
from postroad.sealing.keys import SigningKey

RESEAL_CONTEXT = b"postroad/reseal/1"


@dataclass(frozen=True, slots=True)
class Reseal:
    """To the letter's sender: seal it anew. `sequence`: of the recipient's newest record."""

    mail_id: bytes = fixed(1, 32)
    epoch_key: bytes = fixed(2, keys.EPOCH_ID_BYTES)
    sequence: int = number(3, 8)
    signature: bytes = fixed(4, keys.SIGNATURE_BYTES)


@dataclass(frozen=True, slots=True)
class LeaveReseal:
    """From a drop's owner to its holder: keep this in the letter's place. Answer: Ok or No."""

    drop: bytes = fixed(1, 16)
    reseal: Reseal = nested(2, Reseal)
    signature: bytes = fixed(3, keys.SIGNATURE_BYTES)


def sign_reseal(mail_id: MailId, epoch_key: bytes, sequence: int, device: SigningKey) -> Reseal:
    blank = Reseal(mail_id, epoch_key, sequence, bytes(keys.SIGNATURE_BYTES))
    return replace(blank, signature=device.sign(RESEAL_CONTEXT, encode(blank)))


def check_reseal(
    reseal: Reseal,
    mail_id: MailId,
    epoch_key: bytes,
    *,
    sealed_for: int,
    device: PeerId,
    sequence: int,
    newest_key: bytes,
) -> None:
    """Raise PeerMisbehaved unless the sender has to obey it.

    The letter `mail_id` was sealed to `epoch_key`, as the record of sequence `sealed_for` said. The
    recipient's newest record has `sequence` and `newest_key`, and is signed by `device`."""
    if (reseal.mail_id, reseal.epoch_key) != (mail_id, epoch_key):
        raise PeerMisbehaved("a wish to seal anew is about another letter or key")
    if not sealed_for < reseal.sequence <= sequence or newest_key == epoch_key:
        raise PeerMisbehaved("a wish to seal anew comes without a newer record")
    check_word(reseal, mail_id, device)


def check_word(reseal: Reseal, mail_id: MailId, device: PeerId) -> None:
    """Raise PeerMisbehaved unless this device said it of that letter: as much as a holder sees."""
    if reseal.mail_id != mail_id:
        raise PeerMisbehaved("a wish to seal anew is about another letter")
    blank = replace(reseal, signature=bytes(keys.SIGNATURE_BYTES))
    keys.verify(device, RESEAL_CONTEXT, encode(blank), reseal.signature)

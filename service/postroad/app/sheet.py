"""The revocation sheet: written as a page to print, and read from it or from any copy of it."""

import html
import io
from datetime import UTC, datetime
from pathlib import Path

from postroad.app.owners_file import WrittenFile
from postroad.base import limits
from postroad.base.errors import ConfigurationError, PeerMisbehaved, PermanentFailure
from postroad.base.ids import Fingerprint, Instant
from postroad.base.tlv import decode, encode
from postroad.message.address import Address
from postroad.protocol import sheet
from postroad.protocol.identity_records import RevokeRecord, read_revoke, sign_revoke
from postroad.sealing.keys import Identity, identity_from_words

OCTETS = 5390  # of a whole identity's revocation: all its fields are of fixed sizes
READ_BYTES_MAX = limits.MIB  # of a page as we write it, a sixth

_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Postroad: revocation sheet</title><style>
body {{ font: 10pt sans-serif; max-width: 19cm; margin: 1cm auto; }}
pre {{ font: 6.6pt monospace; columns: 1; }}
svg {{ width: 5.6cm; height: 5.6cm; margin: 0.2cm; }}
.codes {{ break-after: page; }}
</style></head><body>
<h1>Revocation sheet</h1>
<p>of {address}<br>made on {day}</p>
<p><b>Whoever has this sheet can end this identity for ever, and can do nothing else with it.</b>
Keep it where your 24 words are not: with a friend, or in another place.</p>
<p>Use it when your keys or your 24 words are in wrong hands. Nobody takes letters from this address
after that, and none can be sent to it. On any computer where Postroad runs, yours or a friend's,
scan the codes, in any order, or copy the lines of the next page, into a file. Then type:</p>
<p><code>postroad revoke --from-sheet FILE</code></p>
<div class="codes">{codes}</div>
<pre>
{lines}
</pre>
</body></html>
"""


def record_of(identity: Identity) -> bytes:
    """The end of this identity, signed in good days."""
    octets = encode(sign_revoke(identity))
    assert len(octets) == OCTETS
    return octets


def write(path: Path, record: bytes, address: Address | str, now: Instant) -> None:
    """Write the page; ConfigurationError when there is a file already, or none can be made."""
    import segno

    lines = sheet.to_lines(record)
    drawings = []
    for text in sheet.to_codes(lines):
        out = io.BytesIO()
        segno.make(text, error="l", micro=False).save(
            out, kind="svg", xmldecl=False, svgns=True, omitsize=True
        )
        drawings.append(out.getvalue().decode())
    page = _PAGE.format(
        address=html.escape(str(address)),
        day=f"{datetime.fromtimestamp(now, UTC):%Y-%m-%d}",
        codes="\n".join(drawings),
        lines="\n".join(lines),
    )
    with WrittenFile(path) as file:
        file.take(page.encode())
        file.keep()


def write_at_set_up(path: Path, words: str, address: Address, now: Instant) -> None:
    """The same for an identity that is just being made."""
    write(path, record_of(identity_from_words(words)), address, now)


def read(path: Path) -> bytes:
    """The record that this page, or a copy of its lines or codes, says; else a sentence why not."""
    try:
        with path.open("rb") as file:
            octets = file.read(READ_BYTES_MAX + 1)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read ({error.strerror}).") from error
    if len(octets) > READ_BYTES_MAX:
        raise ConfigurationError(f"{path} is too large to be a revocation sheet.")
    return sheet.from_text(octets.decode(errors="replace"), OCTETS)


def whose(record: bytes) -> Fingerprint:
    """Whose end it is, verified; PermanentFailure when it is not genuine."""
    try:
        return read_revoke(record, decode(RevokeRecord, record).fingerprint).fingerprint
    except PeerMisbehaved as error:
        raise PermanentFailure(
            f"All lines of the sheet are there, but they are no revocation: {error}."
        ) from error

"""Each function that may read what somebody else wrote is fuzzed, or there is a reason why not.

Looked for in the code: in the pure rooms every public function that takes octets or a text; above
them every function that itself takes octets apart. Whoever adds a parser is told here.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

from fuzzing.registry import TARGETS

SERVICE = Path(__file__).resolve().parents[2] / "service" / "postroad"
PURE = ("base", "message", "sealing", "protocol")
TEXTS = {"bytes", "str", "bytearray", "bytes | None", "str | None", "Read", "list[bytes]"}
TEXTS |= {"bytes | bytearray | memoryview", "tuple[bytes, ...]", "Iterable[bytes]"}
TAKING_APART = {
    "json.load", "json.loads", "tomllib.load", "tomllib.loads", "int.from_bytes",
    "b64decode", "base64.b64decode",
}  # fmt: skip

# Functions of the pure rooms that read nothing of others': they write, or are given what the seams,
# the owner's own program or a target before them made sure of.
EXCUSED = """
base.ids.short base.ids.fingerprint_from_digest base.seams.* base.vigil.tell
message.bounce.notification message.changed.*
message.introduction.write message.proposal.write message.proposal.envelope message.trial.trial
protocol.audit.written protocol.bundle.Writer.piece protocol.link_text.write protocol.mux.Mux.send
protocol.relay.Session.deny protocol.relay.message protocol.records.sign_person
protocol.imap.flags.write_flags protocol.imap.flags.merged protocol.imap.session.Session.bye
protocol.pop3.Session.bye
protocol.imap.responses.mailbox_name protocol.imap.responses.printable
protocol.imap.responses.listing protocol.wire.No.because protocol.wire_holders.Holding.of
protocol.wire_holders.sign_burial protocol.wire_reseal.sign_reseal protocol.sheet.to_lines
sealing.hybrid.sign sealing.keys.SigningKey.sign sealing.keys.epoch_key_id sealing.letter.seal
sealing.letter.receipt_key sealing.password.new_password sealing.password.verifier
sealing.proposal.give_word
sealing.receipt.seal_receipt sealing.wrapping.Wrapping.wrap sealing.wrapping.new_header
sealing.wrapping.by_passphrase sealing.wrapping.by_secret
"""
# A part of what a target feeds.
FED_BY = {
    "message.bounce.encoded_subject": "request",
    "message.headers._AddressScan.take": "headers",
    "message.structure.Part.parameter": "structure_of_mime",
    "message.submitted.check_name": "submitted",
    "message.structure._Said.part": "structure_of_mime",
    "protocol.imap.arguments.*": "imap_command",
    "protocol.imap.names.encode_name": "imap_names",
    "protocol.imap.names.parents": "imap_names",
    "protocol.imap.render.string": "headers",
    "protocol.imap.render.body": "structure_of_mime",
    "protocol.imap.search.folded": "imap_session",
    "protocol.imap.search.Candidate.text": "structure_of_mime",
    "protocol.wire.check_owner": "keys",
    "protocol.wire_reseal.check_reseal": "keys",
    "sealing.hybrid.verify": "record",
    "sealing.receipt.signer": "receipt",
}
# Above the pure rooms: what takes octets apart, and why it is no target of its own. `tlv.decode` is
# not looked for: whatever it reads, the target "structure" has it.
ABOVE = {
    "app.asking._answer": "the answer of our own node to its owner's command",
    "app.asking._answer_soon": "the answer of our own node to its owner's command",
    "app.config._parsed": "target config",
    "app.config_lines._name": "a key that tomllib has read: tests/app/test_config_mistakes.py",
    "app.identity_cli.print_sheet": "the answer of our own node to its owner's command",
    "app.log_cli._parsed": "lines of this user, as journalctl writes them",
    "app.owners_file.converse": "the answer of our own node to its owner's command",
    "app.policy.load": "target policy",
    "app.sandbox._try": "the answer of our own trial",
    "delivery.duty._is_news": "hours of a message: target wire",
    "doors.control.OwnersFile._ask": "four octets from the owner's own process",
    "doors.control._Doorstep._answer": "a line from it: tests/doors/test_control.py",
    "doors.control._uid": "what the kernel says",
    "doors.dbus.wire.Stream._end": "what the bus let through: tests/bus/test_wire.py",
    "doors.dbus.wire.serial_of": "a whole message",
    "doors.identity.IdentityDesk._publish": "base64 from the owner's own process",
    "doors.submission._Conversation._credential": "base64 of a line of at most 512 octets",
    "machine.firewalls._of_nftables": "rules as nft prints them: tests/machine/test_firewalls.py",
    "machine.interfaces._flags": "what the kernel says",
    "machine.peer_uid._hexadecimal": "what the kernel says",
    "peers.directory.calls.Calls._somewhere_in": "dice",
    "peers.directory.storage.Records.__init__": "our own id",
    "peers.directory.storage.Records._distance": "a key of 20 octets",
    "peers.knocker.Knocker._answer_dial_back": "two octets of a message: target wire",
    "peers.reach.Reach._ask_who": "two octets of a message: target wire",
    "store.backup_format._frames": "target backup",
    "store.backup_format.index_bytes": "four octets",
    "store.backup_format.read_index": "target backup",
    "store.last_backup.read": "a file of ours",
    "store.circle.allows": "a row of ours",
    "store.filed._forgotten_until": "a row of ours",
    "store.queue._row": "a row of ours: tests/delivery/test_damaged_rows.py",
    "store.queue.seal_anew": "a number of ours",
}


def functions() -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Every function of the service, with its name as `room.module.Class.name`."""
    for path in sorted(SERVICE.rglob("*.py")):
        module = ".".join(path.relative_to(SERVICE).with_suffix("").parts)
        for top in ast.parse(path.read_text()).body:
            inside = top.body if isinstance(top, ast.ClassDef) else [top]
            owner = f"{top.name}." if isinstance(top, ast.ClassDef) else ""
            for one in inside:
                if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef):
                    yield f"{module}.{owner}{one.name}", one


def takes_text(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    given = [*function.args.args, *function.args.kwonlyargs]
    return any(one.annotation and ast.unparse(one.annotation) in TEXTS for one in given)


def is_taking_apart(called: ast.expr) -> bool:
    said = ast.unparse(called)
    return said in TAKING_APART or said.endswith((".unpack", ".unpack_from"))


def is_named(name: str, patterns: str) -> bool:
    return any(
        name == one or (one.endswith("*") and name.startswith(one[:-1])) for one in patterns.split()
    )


def test_every_parser_of_the_pure_rooms_is_fuzzed_or_excused() -> None:
    covered = {name for target in TARGETS.values() for name in target.covers}
    known = dict(functions())
    for name in covered:
        assert name in known, f"a target covers {name}, which is not there"
    forgotten = [
        name
        for name, function in known.items()
        if name.split(".")[0] in PURE
        and not function.name.startswith("_")
        and takes_text(function)
        and name not in covered
        and not is_named(name, EXCUSED)
        and not is_named(name, " ".join(FED_BY))
    ]
    assert forgotten == [], "write a target for it, or say why not"


def test_what_takes_octets_apart_above_them_is_known() -> None:
    forgotten = set()
    for name, function in functions():
        if name.split(".")[0] in PURE or name in ABOVE:
            continue
        for call in ast.walk(function):
            if isinstance(call, ast.Call) and is_taking_apart(call.func):
                forgotten.add(f"{name}: {ast.unparse(call.func)}")
    assert forgotten == set(), "say in ABOVE who fuzzes what it reads"


def test_an_excuse_is_for_something() -> None:
    names = [name for name, _ in functions()]
    for pattern in (*EXCUSED.split(), *FED_BY, *ABOVE):
        assert any(is_named(name, pattern) for name in names), pattern
    assert set(FED_BY.values()) <= set(TARGETS)

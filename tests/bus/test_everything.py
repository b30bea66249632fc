"""All that the command line can do is on the bus, or docs/dbus.md says why it is not."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from app.test_program import every_command
from postroad import contract
from postroad.app.answers import ANSWERS, fields_of
from postroad.app.mail_doors import Sockets
from postroad.app.setup_desk import SetupDesk
from postroad.contract import MANAGER_INTERFACE
from postroad.doors.dbus import interfaces, methods, values
from simulator.village import Village, play

PAGE = Path(__file__).resolve().parents[2] / "docs" / "dbus.md"
_M, _C, _R = MANAGER_INTERFACE, contract.CONTACT_INTERFACE, contract.REQUEST_INTERFACE
_LETTER = contract.MESSAGE_INTERFACE
ON_THE_BUS: dict[str, list[tuple[str, str]]] = {  # commands, and the methods that do the same
    "setup": [(_M, "Setup"), (_M, "FinishSetup")],
    "invite": [(_M, "Invite")],
    "accept": [(_M, "Accept")],
    "pause": [(_M, "Pause")],
    "resume": [(_M, "Resume")],
    "helpers": [(_M, "ListHelpers")],
    "helpers remove": [(_M, "RemoveHelper")],
    "status": [(_M, "GetStatus")],
    "statistics": [(_M, "GetStatistics")],
    "config reload": [(_M, "ReloadConfiguration")],
    "test-letter": [(_M, "WriteTestLetter")],
    "queue retry": [(_LETTER, "Retry"), (_M, "RetryAll")],
    "queue cancel": [(_LETTER, "Cancel")],
    "password": [(_M, "NewMailboxPassword")],
    "audit": [(_M, "GetAudit")],
    "audit verify": [(_M, "VerifyAudit")],
    "keys": [(_M, "GetKeys")],
    "keys protect": [(_M, "ProtectKeys")],
    "unlock": [(_M, "Unlock")],
    "contacts show": [(_C, "GetDetails")],
    "contacts rename": [(_C, "Rename")],
    "contacts block": [(_C, "Block")],
    "contacts unblock": [(_C, "Unblock")],
    "contacts remove": [(_C, "Remove")],
    "contacts export": [(_M, "ExportContacts")],
    "requests accept": [(_R, "Accept")],
    "requests refuse": [(_R, "Refuse")],
    "verify": [(_C, "GetSafetyNumber"), (_C, "Verify"), (_C, "ForgetVerification")],
    "policy": [(_M, "GetPolicy")],
    "invitations": [(_M, "ListInvitations")],
    "invitations withdraw": [(_M, "WithdrawInvitation")],
    "devices revoke": [(contract.DEVICE_INTERFACE, "Revoke")],
    "identity": [(_M, "GetIdentity")],
    "identity rotate": [(_M, "BeginRotation"), (_M, "FinishRotation")],
    "identity sheet": [(_M, "GetRevocationSheet")],
    "revoke": [(_M, "PublishRevocation")],
    "introduce": [(_M, "Introduce")],
    "proposals": [(_M, "ListProposals")],
    "proposals accept": [(_M, "AcceptProposal")],
    "proposals decline": [(_M, "DeclineProposal")],
    "peers ping": [(contract.PEER_INTERFACE, "Ping"), (_C, "Ping")],
    "netcheck": [(_M, "Netcheck")],
}
AS_OBJECTS = {  # what these list is there as objects
    "contacts": _C,
    "requests": _R,
    "peers": contract.PEER_INTERFACE,
    "devices": contract.DEVICE_INTERFACE,
    "queue": _LETTER,
}
GIVEN_BY_THE_PROCESS = {"policy", "reload"}  # beside the desks: `app.lifecycle`


def commands() -> set[str]:
    """All that can be typed; a group only where it does something by itself."""
    return {
        path
        for path, command in every_command().items()
        if not isinstance(command, click.Group) or command.invoke_without_command
    }


def left_out() -> dict[str, str]:
    """The commands that the page says are not on the bus, and why; `all` of a group stand for
    themselves."""
    rows = re.findall(r"^\| `postroad (.+?)` \| (.+) \|$", PAGE.read_text(), re.MULTILINE)
    assert len(rows) > 5
    return {command: reason for row, reason in rows for command in row.split("`, `postroad ")}


def test_every_command_is_on_the_bus_or_the_page_says_why_it_is_not() -> None:
    told = left_out()
    for given in (ON_THE_BUS.keys() & told.keys(), ON_THE_BUS.keys() & AS_OBJECTS.keys()):
        assert given == set()
    assert commands() == ON_THE_BUS.keys() | AS_OBJECTS.keys() | told.keys()
    assert all(len(reason.split()) > 2 for reason in told.values())


def test_what_stands_for_a_command_is_offered_and_there_is_nothing_else() -> None:
    offered = {(one.name, name) for one in interfaces.ours().values() for name in one.methods}
    assert offered == {one for found in ON_THE_BUS.values() for one in found}
    assert set(AS_OBJECTS.values()) <= interfaces.ours().keys()


def test_every_method_asks_for_what_some_desk_answers(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        (anna,) = await place.settle_in("anna")
        running = anna.node.desks(anna.node.doors(Sockets())).keys()
        before = SetupDesk(tmp_path / "config", lambda: None).questions.keys()
        asked = {one.request for one in methods.METHODS.values()}
        assert asked - running - before == GIVEN_BY_THE_PROCESS

    play(tmp_path, scene)


def test_a_list_of_tables_has_its_type_also_when_it_is_empty() -> None:
    """It is one type in all answers that come over the bus."""
    of_tables, others = set[str](), set[str]()
    for command in ON_THE_BUS:
        for shape in ANSWERS[command]:
            for path, one in fields_of(shape):
                if one.items is not None:
                    key = values.camel(path.rpartition(".")[2])
                    (of_tables if one.items.fields else others).add(key)
    assert of_tables == values.LISTS_OF_TABLES
    assert not of_tables & others


# Properties

NAMED_BY_THE_BUS = {
    MANAGER_INTERFACE: {
        "Version",
        "Key",
        "ParcelsUnderWay",
        "PeersOnline",
        "PeersKnown",
        "Endpoints",
    },
    contract.PEER_INTERFACE: {"Contact", "Online", "Path", "Trust"},
    _C: {"Online", "Trust", "Peers"},
    _LETTER: set[str](),
    _R: set[str](),
    contract.DEVICE_INTERFACE: set[str](),
}


@pytest.mark.parametrize(
    ("interface", "command", "within"),
    [
        (MANAGER_INTERFACE, "status", ""),
        (contract.PEER_INTERFACE, "peers", ""),
        (_C, "contacts show", ""),
        (_LETTER, "watch", "letters"),
        (_R, "requests", "requests"),
        (contract.DEVICE_INTERFACE, "devices", "devices"),
    ],
)
def test_a_property_is_called_as_the_command_line_calls_it(
    interface: str, command: str, within: str
) -> None:
    fields = {
        values.camel(path.rpartition(".")[2])
        for path, _ in fields_of(ANSWERS[command][0])
        if path.startswith(within)
    }
    named = interfaces.ours()[interface].properties.keys()
    assert named - fields == NAMED_BY_THE_BUS[interface]

"""What each method on the bus asks of the node, and what of the answer it gives back.

Purpose: one table from methods to the questions that the control socket serves, too. Nothing is
decided here.
Invariants: `tests/bus/test_words.py` holds the table and the XML files to each other, and
`tests/bus/test_everything.py` both to the desks and to the command line; no passphrase comes or
goes over the bus, which any program of the owner's may listen to.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from postroad.base.errors import (
    Expired,
    LinkClosed,
    Locked,
    NotPermitted,
    NotSetUp,
    PeerMisbehaved,
    PermanentFailure,
    PostroadError,
    TemporaryFailure,
    Unknown,
    Unreachable,
    UnusableLink,
    WrongPassphrase,
)
from postroad.contract import (
    CONTACT_INTERFACE,
    DEVICE_INTERFACE,
    MANAGER_INTERFACE,
    MESSAGE_INTERFACE,
    PEER_INTERFACE,
    REQUEST_INTERFACE,
    ROOT_PATH,
    BusError,
)
from postroad.doors.dbus.look import contact_path
from postroad.doors.dbus.values import Typed, clean, table

Reply = dict[str, Any]
AUDIT_ENTRIES_MAX = 1000
_EXACT = {"link", "words", "password", "record", "text", "code", "head"}  # never cut


@dataclass(frozen=True, slots=True)
class Asked:
    """A call that is for the node: the request, and what makes the body of the reply of its answer.
    `unknown`: the name of the error when there is nobody, or nothing, of that name."""

    request: str
    arguments: dict[str, Any]
    gives: Callable[[Reply], list[Any]]
    unknown: BusError


@dataclass(frozen=True, slots=True)
class _Asks:
    """`fill` makes arguments of the object's id and of what the caller gave."""

    request: str
    fill: Callable[..., dict[str, Any]] = lambda _: {}
    gives: Callable[[Reply], list[Any]] = lambda reply: [told(reply)]
    unknown: BusError = BusError.FAILED


def asked(interface: str, member: str, name: str, body: list[Any]) -> Asked | None:
    """What this call asks of the node. `name`: of the object, as its path ends. None where there is
    no such method; InvalidArgument where its options are not as they should be."""
    asks = METHODS.get((interface, member))
    if asks is None:
        return None
    return Asked(asks.request, asks.fill(name, *body), asks.gives, asks.unknown)


class InvalidArgument(PermanentFailure):
    """An option of another type than it should have, or one that is not there."""


def error_name(error: BaseException, unknown: BusError) -> BusError:
    """What this error is called on the bus."""
    match error:
        case InvalidArgument():
            return BusError.INVALID_ARGUMENT
        case Unknown():
            return unknown
        case UnusableLink():
            return BusError.INVALID_CODE
        case Expired():
            return BusError.EXPIRED
        case NotPermitted() | WrongPassphrase():
            return BusError.NOT_PERMITTED
        case NotSetUp():
            return BusError.NOT_SET_UP
        case Locked():
            return BusError.LOCKED
        case Unreachable() | LinkClosed() | PeerMisbehaved():
            return BusError.NETWORK
        case TemporaryFailure() | TimeoutError():
            return BusError.BUSY
        case _:
            return BusError.FAILED


def sentence(error: BaseException) -> str:
    if isinstance(error, PostroadError):
        return clean(error)
    if isinstance(error, TimeoutError):
        return "Your node is too busy to answer this. Try again."
    return "Your node failed at this; its log says how."


def told(reply: Mapping[str, Any]) -> dict[str, Typed]:
    """a{sv} of a whole answer."""
    return table(
        {
            key: Typed("s", value) if key in _EXACT and isinstance(value, str) else value
            for key, value in reply.items()
        }
    )


def option(options: Mapping[str, Typed], name: str, kinds: str, default: Any) -> Any:
    """The value of an option that has to have one of these basic types."""
    found = options.get(name)
    if found is None:
        return default
    if len(found.signature) != 1 or found.signature not in kinds:
        raise InvalidArgument(f"The option {name} has to be of one of the types: {kinds}.")
    return found.value


def _expect_only(options: Mapping[str, Typed], *known: str) -> None:
    for one in options:
        if one not in known:
            raise InvalidArgument(
                f"There is no option {clean(one, 60)}; known: {', '.join(known)}."
            )


def _listed(key: str) -> Callable[[Reply], list[Any]]:
    return lambda reply: [[told(one) for one in reply[key]]]


def _setup(_: str, options: Mapping[str, Typed]) -> dict[str, Any]:
    _expect_only(options, "Name")
    name = option(options, "Name", "s", None)
    if name is None:
        raise InvalidArgument("Say your name in your address with the option Name, like anna.")
    return {"name": name}


def _invite(_: str, options: Mapping[str, Typed]) -> dict[str, Any]:
    _expect_only(options, "Name", "Seconds")
    seconds = option(options, "Seconds", "uitx", None)
    return {"name": option(options, "Name", "s", None), "seconds": seconds}


def _invited(reply: Reply) -> list[Any]:
    details = {key: value for key, value in reply.items() if key != "link"}
    return [reply["link"], told(details)]


def _accepted(reply: Reply) -> list[Any]:
    if "helper" in reply:
        return [ROOT_PATH, told(reply)]
    return [contact_path(reply["address"]), told(reply)]


def _statistics(_: str, options: Mapping[str, Typed]) -> dict[str, Any]:
    _expect_only(options, "Days")
    days = option(options, "Days", "uitx", None)
    return {} if days is None else {"days": days}


def _refuse(name: str, options: Mapping[str, Typed]) -> dict[str, Any]:
    _expect_only(options, "Silently")
    return {"name": name, "silently": option(options, "Silently", "b", None)}


def _protect(_: str, how: str) -> dict[str, Any]:
    if how not in ("plain", "keyring"):
        raise InvalidArgument("Over the bus, keys are protected in these ways: plain, keyring.")
    return {"how": how}


def _audited(reply: Reply) -> list[Any]:
    return [[told(one) for one in reply["entries"][-AUDIT_ENTRIES_MAX:]]]


def _named(name: str) -> dict[str, Any]:
    return {"name": name}


def _tried(reply: Reply) -> list[Any]:
    return [len(reply["tried"])]


def _nothing(_: Reply) -> list[Any]:
    return []


_M, _C, _P = MANAGER_INTERFACE, CONTACT_INTERFACE, PEER_INTERFACE
_CONTACT, _REQUEST = BusError.NO_SUCH_CONTACT, BusError.NO_SUCH_REQUEST
_DEVICE, _MESSAGE, _PEER = BusError.NO_SUCH_DEVICE, BusError.NO_SUCH_MESSAGE, BusError.NO_SUCH_PEER

METHODS: Mapping[tuple[str, str], _Asks] = {
    (_M, "Setup"): _Asks("setup", _setup),
    (_M, "FinishSetup"): _Asks("finish setup", lambda _, words: {"words": " ".join(words[:24])}),
    (_M, "Unlock"): _Asks("unlock"),
    (_M, "Pause"): _Asks("pause", lambda _, seconds: {"seconds": seconds} if seconds else {}),
    (_M, "Resume"): _Asks("resume"),
    (_M, "Invite"): _Asks("invite", _invite, _invited),
    (_M, "Accept"): _Asks("accept", lambda _, link: {"link": link}, _accepted),
    (_M, "Introduce"): _Asks(
        "introduce", lambda _, name, other: {"name": name, "other": other}, unknown=_CONTACT
    ),
    (_M, "ListInvitations"): _Asks("invitations", gives=_listed("invitations")),
    (_M, "WithdrawInvitation"): _Asks("withdraw invitation", lambda _, one: {"id": one}),
    (_M, "ListProposals"): _Asks("proposals", gives=_listed("proposals")),
    (_M, "AcceptProposal"): _Asks("accept proposal", lambda _, one: {"id": one}),
    (_M, "DeclineProposal"): _Asks("decline proposal", lambda _, one: {"id": one}),
    (_M, "ListHelpers"): _Asks("helpers", gives=_listed("helpers")),
    (_M, "RemoveHelper"): _Asks("remove helper", lambda _, name: {"name": name}, _nothing),
    (_M, "GetStatus"): _Asks("status"),
    (_M, "Netcheck"): _Asks("netcheck"),
    (_M, "GetStatistics"): _Asks("statistics", _statistics),
    (_M, "NewMailboxPassword"): _Asks("new password", gives=lambda reply: [reply["password"]]),
    (_M, "WriteTestLetter"): _Asks("test letter"),
    (_M, "GetPolicy"): _Asks("policy"),
    (_M, "ReloadConfiguration"): _Asks("reload"),
    (_M, "RetryAll"): _Asks("retry parcel", lambda _: {"id": "all"}, _tried),
    (_M, "GetAudit"): _Asks("audit", lambda _, since: {"since": since}, _audited),
    (_M, "VerifyAudit"): _Asks("audit verify", lambda _, head: {"head": head or None}),
    (_M, "ExportContacts"): _Asks(
        "export contacts", lambda _, kind: {"format": kind}, lambda reply: [reply["text"]]
    ),
    (_M, "GetKeys"): _Asks("keys"),
    (_M, "ProtectKeys"): _Asks("protect", _protect),
    (_M, "GetIdentity"): _Asks("identity"),
    (_M, "GetRevocationSheet"): _Asks("sheet"),
    (_M, "PublishRevocation"): _Asks("publish revocation", lambda _, one: {"record": one}),
    (_M, "BeginRotation"): _Asks("rotate begin"),
    (_M, "FinishRotation"): _Asks(
        "rotate finish", lambda _, words: {"words": " ".join(words[:24])}
    ),
    (_C, "Rename"): _Asks(
        "rename contact",
        lambda name, to: {"name": name, "to": to},
        lambda reply: [clean(reply["name"])],
        _CONTACT,
    ),
    (_C, "Block"): _Asks("block contact", _named, unknown=_CONTACT),
    (_C, "Unblock"): _Asks("unblock contact", _named, unknown=_CONTACT),
    (_C, "Remove"): _Asks(
        "remove contact",
        lambda name, cancel: {"name": name, "cancel_letters": cancel},
        unknown=_CONTACT,
    ),
    (_C, "GetDetails"): _Asks("contact", _named, unknown=_CONTACT),
    (_C, "GetSafetyNumber"): _Asks(
        "verify contact", _named, lambda reply: [reply["number"], reply["code"]], _CONTACT
    ),
    (_C, "Verify"): _Asks(
        "verify contact",
        lambda name, code: {"name": name, "code": code, "matches": True},
        unknown=_CONTACT,
    ),
    (_C, "ForgetVerification"): _Asks(
        "verify contact", lambda name: {"name": name, "forget": True}, unknown=_CONTACT
    ),
    (_C, "Ping"): _Asks("ping", _named, unknown=_CONTACT),
    (_P, "Ping"): _Asks("ping", lambda name: {"peer": name}, unknown=_PEER),
    (REQUEST_INTERFACE, "Accept"): _Asks("accept request", _named, unknown=_REQUEST),
    (REQUEST_INTERFACE, "Refuse"): _Asks("refuse request", _refuse, unknown=_REQUEST),
    (DEVICE_INTERFACE, "Revoke"): _Asks(
        "revoke device", lambda name: {"device": name}, unknown=_DEVICE
    ),
    (MESSAGE_INTERFACE, "Retry"): _Asks(
        "retry parcel", lambda name: {"id": name}, unknown=_MESSAGE
    ),
    (MESSAGE_INTERFACE, "Cancel"): _Asks(
        "cancel parcel", lambda name: {"id": name}, unknown=_MESSAGE
    ),
}

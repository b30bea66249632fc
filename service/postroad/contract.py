"""What the session bus, the command line and the tray call things.

Purpose: the names and the words that programs outside of the service may rely on. Nothing here does
anything.
Invariants: imports nothing of the house; the tray may import this and nothing else of it. A word
once released keeps its meaning: new ones may come, and whoever reads treats an unknown one as the
gravest of its kind.
See: freedesktop.org D-Bus API Design Guidelines; docs/adr/0020-health.md.
"""

from enum import StrEnum

JSON_VERSION = 1  # "version" of every answer with --json; another number when a meaning changes

BUS_NAME = "org.postroad.Postroad1"

ROOT_PATH = "/org/postroad/Postroad1"
PEER_PATH = f"{ROOT_PATH}/peer"  # below it one object each: PEER_PATH/ID, and so on
MESSAGE_PATH = f"{ROOT_PATH}/message"
CONTACT_PATH = f"{ROOT_PATH}/contact"
REQUEST_PATH = f"{ROOT_PATH}/request"
DEVICE_PATH = f"{ROOT_PATH}/device"

MANAGER_INTERFACE = f"{BUS_NAME}.Manager"
PEER_INTERFACE = f"{BUS_NAME}.Peer"
MESSAGE_INTERFACE = f"{BUS_NAME}.Message"
CONTACT_INTERFACE = f"{BUS_NAME}.Contact"
REQUEST_INTERFACE = f"{BUS_NAME}.Request"
DEVICE_INTERFACE = f"{BUS_NAME}.Device"

_ERROR = f"{BUS_NAME}.Error"


class BusError(StrEnum):
    """Names of the errors on the bus; the message beside it is a sentence for a person."""

    FAILED = f"{_ERROR}.Failed"  # anything that none of the others says better
    NOT_SET_UP = f"{_ERROR}.NotSetUp"
    LOCKED = f"{_ERROR}.Locked"
    NO_SUCH_PEER = f"{_ERROR}.NoSuchPeer"
    NO_SUCH_MESSAGE = f"{_ERROR}.NoSuchMessage"
    NO_SUCH_CONTACT = f"{_ERROR}.NoSuchContact"
    NO_SUCH_REQUEST = f"{_ERROR}.NoSuchRequest"
    NO_SUCH_DEVICE = f"{_ERROR}.NoSuchDevice"
    INVALID_ARGUMENT = f"{_ERROR}.InvalidArgument"
    INVALID_CODE = f"{_ERROR}.InvalidCode"  # an invitation or another link that cannot be read
    EXPIRED = f"{_ERROR}.Expired"
    BUSY = f"{_ERROR}.Busy"  # try again
    NOT_PERMITTED = f"{_ERROR}.NotPermitted"  # by the policy, or without the passphrase
    NETWORK = f"{_ERROR}.Network"


class State(StrEnum):
    """What the node is doing."""

    SETUP_NEEDED = "setup-needed"  # nobody has set it up: there are no keys
    LOCKED = "locked"  # the keys wait for a passphrase
    STARTING = "starting"  # not yet decided how the network is
    ONLINE = "online"  # mail goes and comes
    OFFLINE = "offline"  # no other node answers; a node that is off is offline, too
    DEGRADED = "degraded"  # mail goes, but slower or less safely than it should
    PAUSED = "paused"  # off the network because its owner wants it


class Health(StrEnum):
    """Whether the owner should look; from the best to the worst."""

    OK = "ok"
    ATTENTION = "attention"  # something can be done, and nothing is lost meanwhile
    BROKEN = "broken"  # mail cannot be accepted, sent or received until something is done


class Severity(StrEnum):
    """How grave one problem is; from the least to the worst. The worst one decides the health:
    `info` leaves it ok."""

    INFO = "info"
    ATTENTION = "attention"
    BROKEN = "broken"


class MessageState(StrEnum):
    """How far one letter to one recipient has come."""

    WAITING = "waiting"  # no holder has it yet
    HELD = "held"  # at least one holder keeps it
    LATE = "late"  # waiting or held for more than a day; the sender was told
    REQUESTED = "requested"  # it lies among the requests of somebody who does not know us yet
    DELIVERED = "delivered"  # the recipient's signed receipt is here
    FAILED = "failed"  # refused by the recipient, or no answer in time; the sender was told
    CANCELLED = "cancelled"  # by the sender


class Path(StrEnum):
    """How we are connected to a peer at this moment."""

    DIRECT = "direct"
    RELAYED = "relayed"
    NONE = "none"

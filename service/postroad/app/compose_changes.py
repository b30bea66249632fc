"""Build what hears of changes of identities and devices: a piece of `compose`."""

from collections.abc import Callable

from postroad.base.ids import PeerId
from postroad.base.seams import Clock, Entropy
from postroad.delivery.change_notices import ChangeNotices
from postroad.delivery.changes import Changes
from postroad.delivery.obeying import Change, Obeying
from postroad.delivery.own_devices import OwnDevices
from postroad.peers.client import Client
from postroad.peers.directory.service import Directory
from postroad.store.database import Database
from postroad.store.keyring import OwnKeys
from postroad.store.mailboxes import Added, Mailboxes


def obeying_of(
    database: Database,
    mailboxes: Mailboxes,
    keys: OwnKeys,
    clock: Clock,
    entropy: Entropy,
    barred: set[PeerId],
    changed: Callable[[], None],
) -> Obeying:
    """`changed` hears that something was obeyed: letters may have to go another way."""
    notices = ChangeNotices(mailboxes, keys, clock, entropy)

    def after(_: Change, added: Added | None) -> None:
        if added is not None:
            mailboxes.announce(added)
        changed()

    return Obeying(database, clock, lambda: keys.fingerprints, barred, notices.tell, after)


def changes_of(
    database: Database,
    client: Client,
    keys: OwnKeys,
    clock: Clock,
    entropy: Entropy,
    obeying: Obeying,
    directory: Directory,
    changed: Callable[[], None],
) -> tuple[Changes, OwnDevices]:
    own_devices = OwnDevices(database, keys, clock, obeying, directory.find, lambda: changes.wake())
    changes = Changes(
        database,
        client,
        keys,
        clock,
        entropy,
        obeying,
        own_devices,
        directory.find_change,
        directory.find_newer,
        directory.find,
        lambda: directory.is_joined,
        changed,
    )
    client.on_revoked = changes.refused
    return changes, own_devices

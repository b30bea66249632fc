"""Build what hears of changes of identities and devices: a piece of `compose`."""

from collections.abc import Callable

from postroad.base.ids import Fingerprint
from postroad.base.seams import Clock, Entropy
from postroad.delivery.change_notices import ChangeNotices
from postroad.delivery.changes import Changes
from postroad.delivery.obeying import Change, Obeying
from postroad.delivery.own_devices import OwnDevices
from postroad.peers.client import Client
from postroad.peers.directory.service import Directory
from postroad.store.database import Database, Sql
from postroad.store.keyring import OwnKeys
from postroad.store.mailboxes import Added, Mailboxes
from postroad.store.rotations import Followed, Outcome


def obeying_of(
    database: Database,
    mailboxes: Mailboxes,
    keys: OwnKeys,
    clock: Clock,
    entropy: Entropy,
    changed: Callable[[], None],
    on_contact: Callable[[Sql, Fingerprint], None],
) -> Obeying:
    """`changed` hears that something was obeyed: letters may have to go another way; `on_contact`
    of whoever is a contact by it, in the same transaction."""
    notices = ChangeNotices(mailboxes, keys, clock, entropy)

    def tell(sql: Sql, change: Change) -> Added | None:
        if isinstance(change, Followed) and change.outcome is Outcome.FOLLOWED and change.person:
            on_contact(sql, change.person.fingerprint)
        return notices.tell(sql, change)

    def after(_: Change, added: Added | None) -> None:
        if added is not None:
            mailboxes.announce(added)
        changed()

    return Obeying(database, clock, lambda: keys.fingerprints, tell, after)


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
    client.on_revoked, client.on_ended = changes.refused, changes.has_ended
    return changes, own_devices

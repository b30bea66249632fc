"""The desktop keyring: what GNOME Keyring, KWallet or KeePassXC keep as the Secret Service.

Purpose: keep one small secret there for us; the only place that imports SecretStorage.
Invariants: a secret crosses the bus only encrypted (Diffie-Hellman with the keyring), never in
clear, though the library would; every wait ends, and none outlasts `close`.
See: the Secret Service API, version 0.2 (freedesktop.org).
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, InvalidStateError
from contextlib import contextmanager, suppress
from threading import Thread
from typing import TYPE_CHECKING, Any, TypeVar

from postroad.base.errors import NotToBeHad, PostroadError
from postroad.phrases import Phrase, phrase

if TYPE_CHECKING:
    from secretstorage import Collection

ANSWER_SECONDS_MAX = 10.0
OWNER_SECONDS_MAX = 50.0  # to type the keyring's password; the control socket waits for 60
LABEL = "Postroad: opens the keys of your mail"
T = TypeVar("T")


class DesktopKeyring:
    """`base.seams.SecretKeeper`. Each call works in a thread of its own, which a process that stops
    leaves behind: its owner may have gone away from the question that the keyring asks them."""

    def __init__(self) -> None:
        self._is_closed = False
        self._calls: set[Future[Any]] = set()

    def fetch(self, name: str, *, ask: bool) -> bytes:
        return self._wait_for(lambda: _fetch(name, ask=ask))

    def keep(self, name: str, secret: bytes) -> None:
        self._wait_for(lambda: _keep(name, secret))

    def forget(self, name: str) -> None:
        self._wait_for(lambda: _forget(name))

    def close(self) -> None:
        """End whatever still waits, with NotToBeHad, and all that begins after this."""
        self._is_closed = True
        for call in list(self._calls):
            with suppress(InvalidStateError):  # it was answered just now
                call.set_exception(_stopping())

    def _wait_for(self, work: Callable[[], T]) -> T:
        call: Future[T] = Future()
        self._calls.add(call)
        try:
            if self._is_closed:
                raise _stopping()
            Thread(target=_answer, args=(call, work), name="desktop keyring", daemon=True).start()
            return call.result()
        finally:
            self._calls.discard(call)


def _stopping() -> NotToBeHad:
    return NotToBeHad(
        phrase("The desktop keyring is not waited for any more: your node is stopping.")
    )


def _answer(call: Future[T], work: Callable[[], T]) -> None:
    """Do it, and tell whoever waits, if somebody still does."""
    with suppress(InvalidStateError):
        try:
            found = work()
        except BaseException as error:
            call.set_exception(error)
        else:
            call.set_result(found)


def _fetch(name: str, *, ask: bool) -> bytes:
    with _collection(ask=ask) as collection:
        found = list(collection.search_items(_attributes(name)))
        if not found:
            raise NotToBeHad(phrase("The desktop keyring has no entry of Postroad any more."))
        return bytes(found[0].get_secret())


def _keep(name: str, secret: bytes) -> None:
    with _collection(ask=True) as collection:
        collection.create_item(LABEL, _attributes(name), secret, True, "application/octet-stream")
        for kept in collection.search_items(_attributes(name)):
            if kept.get_secret() == secret:
                return
    raise NotToBeHad(phrase("The desktop keyring did not keep what it was given."))


def _forget(name: str) -> None:
    with _collection(ask=False) as collection:
        for item in list(collection.search_items(_attributes(name))):
            item.delete()


def _attributes(name: str) -> dict[str, str]:
    return {"application": "postroad", "keys": name}


@contextmanager
def _collection(*, ask: bool) -> Iterator["Collection"]:
    """The owner's default keyring, unlocked; whatever fails in it is NotToBeHad, in words."""
    # Imported here: most commands never need it.
    from jeepney import DBusErrorResponse  # type: ignore[import-untyped]
    from secretstorage import SecretStorageException

    try:
        connection = _connect()
        try:
            yield _unlocked(connection, ask)
        finally:
            connection.close()
    except PostroadError:
        raise
    except TimeoutError as error:
        raise NotToBeHad(phrase("The desktop keyring did not answer in time.")) from error
    except (SecretStorageException, DBusErrorResponse, OSError, ValueError, KeyError) as error:
        raise NotToBeHad(_no_answer(error)) from error


def _unlocked(connection: Any, ask: bool) -> "Collection":
    from secretstorage import Collection, ItemNotFoundException, create_collection
    from secretstorage.util import open_session

    session = open_session(connection)
    if not session.encrypted:
        raise NotToBeHad(phrase("The desktop keyring would send secrets over the bus in clear."))
    try:
        collection = Collection(connection, session=session)
    except ItemNotFoundException:
        if not ask:
            raise NotToBeHad(
                phrase("The desktop keyring is not open, or has never been used.")
            ) from None
        collection = create_collection(connection, "Default", "default", session)
    if collection.is_locked() and (not ask or collection.unlock(timeout=OWNER_SECONDS_MAX)):
        raise NotToBeHad(phrase("The desktop keyring is locked."))
    return collection


def _connect() -> Any:
    """A connection to the owner's bus on which no wait is for ever."""
    from jeepney.bus import get_bus  # type: ignore[import-untyped]
    from jeepney.io.blocking import DBusConnection, prep_socket  # type: ignore[import-untyped]
    from secretstorage.util import add_match_rules

    class InTime(DBusConnection):  # type: ignore[misc]
        def receive(self, *, timeout: float | None = None) -> Any:
            return super().receive(timeout=ANSWER_SECONDS_MAX if timeout is None else timeout)

        def send_and_get_reply(self, message: Any, *, timeout: float | None = None) -> Any:
            limit = ANSWER_SECONDS_MAX if timeout is None else timeout
            return super().send_and_get_reply(message, timeout=limit)

    connection = InTime(prep_socket(get_bus("SESSION"), timeout=ANSWER_SECONDS_MAX))
    add_match_rules(connection)
    return connection


def _no_answer(error: Exception) -> Phrase:
    """What the bus said; without a bus, the library only names the variable that would tell."""
    if isinstance(error, KeyError):
        return phrase(
            "No desktop keyring answers here ({variable} is not set: no desktop session).",
            variable=error.args[0],
        )
    why = str(error) or type(error).__name__
    return phrase("No desktop keyring answers here ({why}).", why=why)

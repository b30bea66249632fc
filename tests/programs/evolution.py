"""Sends and reads one letter with Evolution's own mail library, by the settings given on stdin.

For the system's Python, which has GObject's introspection; run by test_evolution.py. What a person
would set in Evolution's windows is set here under the names of its account files.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import gi  # type: ignore[import-not-found]

gi.require_version("Camel", "1.2")
from gi.repository import Camel  # type: ignore[import-not-found]  # noqa: E402

SECONDS_MAX = 60


class Session(Camel.Session):  # type: ignore[misc]
    def do_authenticate_sync(self, service: Any, mechanism: str, cancellable: Any) -> bool:
        service.set_password(asked["password"])
        result = service.authenticate_sync(mechanism, cancellable)
        return bool(result == Camel.AuthenticationResult.ACCEPTED)


def service(session: Session, protocol: str, kind: Any, door: dict[str, Any]) -> Any:
    made = session.add_service(protocol, protocol, kind)
    settings = made.ref_settings()
    for name, value in {
        "host": door["host"],
        "port": door["port"],
        "user": door["user_name"],
        "security-method": Camel.NetworkSecurityMethod.NONE,
        "auth-mechanism": "PLAIN" if kind == Camel.ProviderType.TRANSPORT else None,
    }.items():
        settings.set_property(name, value)
    return made


def main() -> None:
    folder = Path(asked["folder"])
    Camel.init(str(folder), False)
    Camel.Provider.init()
    session = Session(user_data_dir=str(folder / "data"), user_cache_dir=str(folder / "cache"))
    session.set_online(True)
    sending = service(session, "smtp", Camel.ProviderType.TRANSPORT, asked["outgoing"])
    sending.connect_sync(None)
    owner = Camel.InternetAddress.new()
    owner.add("Anna", asked["address"])
    letter = Camel.MimeMessage.new()
    letter.set_from(owner)
    letter.set_recipients("To", owner)
    letter.set_subject("from Evolution")
    letter.set_content(b"Good morning.\r\n", "text/plain")
    sent, _ = sending.send_to_sync(letter, owner, owner, None)
    reading = service(session, "imapx", Camel.ProviderType.STORE, asked["incoming"])
    reading.set_online_sync(True, None)
    inbox = reading.get_folder_sync("INBOX", 0, None)
    ends = time.monotonic() + SECONDS_MAX
    while not (uids := inbox.get_uids()) and time.monotonic() < ends:
        inbox.refresh_info_sync(None)
        time.sleep(0.1)
    subjects = [inbox.get_message_sync(uid, None).get_subject() for uid in uids]
    print(json.dumps({"sent": sent, "subjects": subjects}))


asked = json.loads(sys.stdin.read())
main()

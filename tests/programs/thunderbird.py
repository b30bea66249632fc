"""Drive a real Thunderbird under Xvfb, through Marionette, in place of a person with a mouse.

Purpose: an account set up with what `postroad mail-client` tells, the same windows and commands
that a person uses, and what they would see. Needs the Debian packages thunderbird, xvfb and
imagemagick.
See: Marionette's protocol is `length:[type, id, command or error, parameters or result]`.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from person import Person
from screens import screen

NEEDED = "thunderbird", "Xvfb", "import"
KNOWN = Path("/usr/share/thunderbird/isp")  # what Debian's Thunderbird knows of providers
OURS = Path(__file__).resolve().parents[2] / "packaging" / "files" / "postroad.alt.xml"
START_SECONDS_MAX = 120.0
ANSWER_SECONDS_MAX = 90.0

MODULES = """
const {MailServices} = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
// A window's own timers stand still behind a dialog.
const {setTimeout} = ChromeUtils.importESModule("resource://gre/modules/Timer.sys.mjs");
const pause = milliseconds => new Promise(done => setTimeout(done, milliseconds));
async function until(holds, what) {
  for (let tries = 0; tries < 300; tries++) {
    const found = await holds();
    if (found) return found;
    await pause(100);
  }
  throw new Error("not within 30 s: " + what);
}
const server = MailServices.accounts.accounts.map(one => one.incomingServer)
  .find(one => one.type == "imap");
const flagged = flag => server.rootFolder.getFolderWithFlags(flag);
const getMail = inbox => new Promise((done, failed) => inbox.getNewMessages(null, {
  OnStartRunningUrl() {},
  OnStopRunningUrl(url, status) { status ? failed(new Error("no answer")) : done(); }}));
"""
LOG_IN = """
const [address, password] = arguments;
for (const origin of ["imap://127.0.0.1", "smtp://127.0.0.1"]) {
  const login = Cc["@mozilla.org/login-manager/loginInfo;1"].createInstance(Ci.nsILoginInfo);
  login.init(origin, null, origin, address, password, "", "");
  await Services.logins.addLoginAsync(login);
}
server.performExpand(null);  // as a click on the account does
await getMail(await until(() => flagged(Ci.nsMsgFolderFlags.Inbox), "the folder INBOX"));
await until(() => flagged(Ci.nsMsgFolderFlags.SentMail), "the folder Sent");
"""
FETCH = """
const [subject] = arguments;
const inbox = flagged(Ci.nsMsgFolderFlags.Inbox);
const header = await until(async () => {
  await getMail(inbox);
  return [...inbox.messages].find(one => one.mime2DecodedSubject == subject);
}, "the letter in the INBOX");
const tab = Services.wm.getMostRecentWindow("mail:3pane").document.getElementById("tabmail");
const pane = tab.currentAbout3Pane;
pane.displayFolder(inbox.URI);
await until(() => pane.gDBView && pane.gDBView.rowCount > 0, "the list of letters");
pane.threadTree.selectedIndex = pane.gDBView.findIndexOfMsgHdr(header, true);
const shown = await until(() => {
  const browser = pane.messageBrowser.contentWindow?.getMessagePaneBrowser?.();
  const text = browser?.contentDocument?.body?.innerText;
  return browser?.contentDocument?.readyState == "complete" && text?.trim() ? text : null;
}, "the letter's text");
return {author: header.mime2DecodedAuthor, recipients: header.mime2DecodedRecipients, text: shown};
"""
SEND = """
const [to, subject, body, attachment] = arguments;
const fields = Cc["@mozilla.org/messengercompose/composefields;1"]
  .createInstance(Ci.nsIMsgCompFields);
Object.assign(fields, {to, subject, body});
if (attachment) {
  const file = Cc["@mozilla.org/messengercompose/attachment;1"].createInstance(Ci.nsIMsgAttachment);
  file.url = "file://" + attachment;
  file.name = attachment.split("/").pop();
  fields.addAttachment(file);
}
const wanted = Cc["@mozilla.org/messengercompose/composeparams;1"]
  .createInstance(Ci.nsIMsgComposeParams);
wanted.composeFields = fields;
wanted.type = Ci.nsIMsgCompType.New;
wanted.format = Ci.nsIMsgCompFormat.PlainText;
wanted.identity = MailServices.accounts.allIdentities[0];
const open = () => [...Services.wm.getEnumerator("msgcompose")];
const before = open();  // those of letters that were not taken stay open, as for a person
MailServices.compose.OpenComposeWindowWithParams(null, wanted);
const compose = await until(() => open().find(one => !before.includes(one) && one.gMsgCompose
  && one.document.readyState == "complete" && one.composeEditorReady), "the compose window");
await pause(500);  // a person would not be so quick; the window still puts its parts together
compose.goDoCommand("cmd_sendNow");
return await until(async () => {
  for (const dialog of Services.wm.getEnumerator(null)) {
    const text = dialog.document.getElementById("infoBody")?.textContent;
    if (!text) continue;
    dialog.document.querySelector("dialog").acceptDialog();
    await until(() => dialog.closed, "the alert closes");
    return text;
  }
  return !open().includes(compose) && "sent";
}, "the compose window closes");
"""
IMPORT = """
const [path, kind] = arguments;
const {AddrBookFileImporter} =
  ChromeUtils.importESModule("resource:///modules/AddrBookFileImporter.sys.mjs");
const file = Cc["@mozilla.org/file/local;1"].createInstance(Ci.nsIFile);
file.initWithPath(path);
const book = MailServices.ab.getDirectoryFromId(MailServices.ab.newAddressBook(kind, "", 101));
await new AddrBookFileImporter(kind).startImport(file, book);
return book.childCards.map(card => ({name: card.displayName, address: card.primaryEmail,
  nickname: card.getProperty("NickName", ""), all: card.emailAddresses}));
"""

LOOK_UP = """
const [address] = arguments;
const {FindConfig} =
  ChromeUtils.importESModule("resource:///modules/accountcreation/FindConfig.sys.mjs");
const find = FindConfig.parallelAutoDiscovery, domain = address.split("@")[1];
const looking = /abortSignal/.test(find) ? find(domain, address, new AbortController().signal)
  : find({current: null}, domain, address);  // until version 140
let found = looking.next ? await looking.next() : {value: await looking, done: true};
while (!found.done) found = await looking.next();
const told = one => ({type: one.type, host: one.hostname, port: one.port, user: one.username,
  security: one.socketType, authentication: one.auth});
const config = found.value;
return {name: config.displayName, incoming: told(config.incoming),
  outgoing: told(config.outgoing), others: config.incomingAlternatives.map(told)};
"""


class Thunderbird:
    """A running Thunderbird with one account; scripts run in it with its own privileges."""

    def __init__(self, marionette: socket.socket, display: str, folder: Path) -> None:
        self._socket = marionette
        self._display = display
        self._folder = folder
        self._commands = 0
        self._receive()  # its greeting
        self._command("WebDriver:NewSession", capabilities={})
        self._command("Marionette:SetContext", value="chrome")
        self._command("WebDriver:SetTimeouts", script=int(ANSWER_SECONDS_MAX * 1000))

    def fetch(self, subject: str) -> dict[str, str]:
        """Get new mail, open the letter with this subject, and tell what is shown of it."""
        shown: dict[str, str] = self._script(FETCH, subject)
        return shown

    def send(self, to: str, subject: str, body: str, attachment: Path | None = None) -> str:
        """Write a letter in the compose window, and press Send: "sent", or what the alert says."""
        said: str = self._script(SEND, to, subject, body, str(attachment) if attachment else None)
        return said

    def import_contacts(self, path: Path, kind: str) -> list[dict[str, Any]]:
        """Import a file ("ldif" or "vcard") into a new address book; who is in it then."""
        found: list[dict[str, Any]] = self._script(IMPORT, str(path), kind)
        return found

    def look_up(self, address: str) -> dict[str, Any]:
        """What its page for a new account finds out by itself of an address."""
        found: dict[str, Any] = self._script(LOOK_UP, address)
        return found

    def picture(self, name: str) -> Path:
        """What is on the screen now."""
        path = self._folder / f"{name}.png"
        command = ["import", "-display", self._display, "-window", "root", str(path)]
        subprocess.run(command, check=True, timeout=30)
        return path

    def log_in(self, owner: Person) -> None:
        """Do as if the owner had typed the password once, and opened the account."""
        self._script(LOG_IN, owner.address, owner.password)

    def _script(self, body: str, *arguments: object) -> Any:
        script = (
            "const finish = arguments[arguments.length - 1];"
            f"(async function() {{ {MODULES} {body} }}).apply(null, arguments).then("
            "value => finish({value}), error => finish({error: String(error)}));"
        )
        answer = self._command(
            "WebDriver:ExecuteAsyncScript",
            script=script,
            args=list(arguments),
            sandbox="system",
            newSandbox=False,
        )["value"]
        if "error" in answer:
            raise AssertionError(f"{answer['error']}; see {self.picture('failed')}")
        return answer.get("value")

    def _command(self, name: str, **parameters: object) -> Any:
        self._commands += 1
        message = json.dumps([0, self._commands, name, parameters]).encode()
        self._socket.sendall(b"%d:%s" % (len(message), message))
        _, number, error, result = self._receive()
        assert number == self._commands
        if error:  # with an alert's own text, when one is in the way
            raise AssertionError(f"{error['message']}; see {self.picture('failed')}")
        return result

    def _receive(self) -> Any:
        size = b""
        while not size.endswith(b":"):
            size += self._read(1)
        return json.loads(self._read(int(size[:-1])))

    def _read(self, size: int) -> bytes:
        received = bytearray()
        while len(received) < size:
            chunk = self._socket.recv(size - len(received))
            assert chunk, "Thunderbird has closed the connection"
            received += chunk
        return bytes(received)


@contextlib.contextmanager
def running(owner: Person, folder: Path) -> Iterator[Thunderbird]:
    """Thunderbird with the owner's account, on a screen of its own, until the end of the block."""
    profile, home = folder / "profile", folder / "home"
    profile.mkdir(parents=True)
    home.mkdir()
    port = free_port()
    (profile / "user.js").write_text(_preferences(owner, port))
    with screen(folder, "1100x720") as display, open(folder / "thunderbird.log", "wb") as log:
        surroundings = os.environ | {
            "HOME": str(home),
            "DISPLAY": display,
            "MOZ_DISABLE_CONTENT_SANDBOX": "1",  # it would need a user namespace of its own
            "LIBGL_ALWAYS_SOFTWARE": "1",
        }
        surroundings.pop("DBUS_SESSION_BUS_ADDRESS", None)
        options = ["--marionette", "--remote-allow-system-access", "--no-remote"]
        process = subprocess.Popen(
            [*_with_our_file(folder), "thunderbird", *options, "--profile", str(profile)],
            env=surroundings,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            with _connect(port, process) as marionette:
                program = Thunderbird(marionette, display, folder)
                program.log_in(owner)
                yield program
        finally:
            os.killpg(process.pid, signal.SIGKILL)  # and its children
            process.wait(20)


def _with_our_file(folder: Path) -> list[str]:
    """What a program is run by so that the file of our package lies where it would be; for root."""
    if os.geteuid() != 0:
        return []
    known = folder / "isp"
    shutil.copytree(KNOWN, known)
    shutil.copy(OURS, known)
    script = 'mount --bind "$0" "$1" && shift && exec "$@"'
    return ["unshare", "--mount", "sh", "-c", script, str(known), str(KNOWN)]



def _connect(port: int, process: "subprocess.Popen[bytes]") -> socket.socket:
    ends = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < ends:
        assert process.poll() is None, "Thunderbird ended at once"
        with contextlib.suppress(ConnectionRefusedError):
            return socket.create_connection(("127.0.0.1", port), timeout=ANSWER_SECONDS_MAX)
        time.sleep(0.2)
    raise AssertionError(f"Thunderbird did not start within {START_SECONDS_MAX:.0f} s")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


def _preferences(owner: Person, port: int) -> str:
    """The account as `postroad mail-client` tells it, and no questions to a first-time user."""
    told = owner.postroad("mail-client", "thunderbird")
    incoming, outgoing = told["incoming"], told["outgoing"]
    assert {incoming["security"], outgoing["security"]} == {"none"}
    assert {incoming["authentication"], outgoing["authentication"]} == {"password"}
    settings: dict[str, object] = {
        "mail.accountmanager.accounts": "account1",
        "mail.accountmanager.defaultaccount": "account1",
        "mail.account.account1.server": "server1",
        "mail.account.account1.identities": "id1",
        "mail.server.server1.type": "imap",
        "mail.server.server1.hostname": incoming["host"],
        "mail.server.server1.port": incoming["port"],
        "mail.server.server1.userName": incoming["user_name"],
        "mail.server.server1.name": "Postroad",
        "mail.server.server1.socketType": 0,  # no encryption
        "mail.server.server1.authMethod": 3,  # normal password
        "mail.server.server1.login_at_startup": False,
        "mail.identity.id1.fullName": owner.name.capitalize(),
        "mail.identity.id1.useremail": told["address"],
        "mail.identity.id1.smtpServer": "smtp1",
        "mail.identity.id1.valid": True,
        "mail.smtpservers": "smtp1",
        "mail.smtp.defaultserver": "smtp1",
        "mail.smtpserver.smtp1.hostname": outgoing["host"],
        "mail.smtpserver.smtp1.port": outgoing["port"],
        "mail.smtpserver.smtp1.username": outgoing["user_name"],
        "mail.smtpserver.smtp1.authMethod": 3,
        "mail.smtpserver.smtp1.try_ssl": 0,
        "mail.provider.suppress_dialog_on_startup": True,
        "mail.spotlight.firstRunDone": True,
        "mail.winsearch.firstRunDone": True,
        "mail.shell.checkDefaultClient": False,
        "mailnews.start_page.enabled": False,
        "app.donation.eoy.version.viewed": 999,
        "datareporting.policy.dataSubmissionPolicyBypassNotification": True,
        "app.update.auto": False,
        "mail.inappnotifications.enabled": False,
        "marionette.port": port,
    }
    return "".join(
        f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in settings.items()
    )

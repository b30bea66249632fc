"""The page of peers: who is there, by which way, how fast, and who keeps letters for whom."""

from __future__ import annotations

from postroad_tray.client import Answer, Client, question_about
from postroad_tray.facts import Peer, Picture
from postroad_tray.tongue import _
from postroad_tray.trails import Trails
from postroad_tray.window import peer_rows, pieces
from postroad_tray.window.page import Page
from postroad_tray.window.rows import Rows, Table

PING_SECONDS = 30.0  # the node itself gives up before


class Peers(Page):
    def __init__(self, client: Client, trails: Trails) -> None:
        super().__init__()
        self._client = client
        self._trails = trails
        self._peers: dict[str, Peer] = {}
        self._pinged = ""  # the one that is asked now
        self._now = 0.0
        self._summary = pieces.words(size=1.3)
        self._table = Table(Rows(peer_rows.columns()), _("Peers"))
        self._chosen = pieces.taken_words()
        self._ping = pieces.button(
            _("&Ping"), self._ask, _("Try to reach the chosen peer now, and say how fast it is")
        )
        self._invite = pieces.button(
            _("&Invite someone …"), lambda: self.turned_to.emit("invite")
        )
        self.column.addWidget(self._summary)
        self.column.addWidget(self._table, 1)
        self.column.addWidget(self._chosen)
        buttons = pieces.row(self._ping, self._invite, stretch_first=False)
        buttons.addStretch(1)
        self.column.addLayout(buttons)
        self._table.selectionModel().selectionChanged.connect(lambda *_ignored: self._tell())
        self._table.activated.connect(lambda *_ignored: self._ask())

    def draw(self, picture: Picture, now: float) -> None:
        picture = picture.as_of_now()
        self._now = now
        self._peers = {one.object_path: one for one in picture.peers}
        pieces.say(self._summary, peer_rows.summary(picture))
        self._table.show_rows(
            peer_rows.row(
                one, self._trails.of(one.object_path, now), now, is_known=picture.is_there
            )
            for one in picture.peers
        )
        self._table.setVisible(bool(picture.peers))
        self._ping.setVisible(bool(picture.peers))
        self._invite.setVisible(not picture.peers and picture.is_there)
        self._is_there = picture.is_there
        self._tell()

    def _tell(self) -> None:
        """What the chosen row says, as a sentence: the line of the hour as well."""
        peer = self._one()
        said = ""
        if peer is not None:
            trail = self._trails.of(peer.object_path, self._now)
            said = peer_rows.sentence(peer, trail, self._now, is_known=self._is_there)
        pieces.say(self._chosen, said)
        is_free = not self._pinged
        self._ping.setEnabled(peer is not None and is_free and self._is_there)
        self._ping.setText(_("&Ping") if is_free else _("Asking …"))

    def _one(self) -> Peer | None:
        chosen = self._table.chosen()
        return self._peers.get(chosen[0]) if chosen else None

    def _ask(self) -> None:
        peer = self._one()
        if peer is None or self._pinged or not self._is_there:
            return
        self._pinged = peer.object_path

        def answered(answer: Answer) -> None:
            self._pinged = ""
            good = peer_rows.ping_words(peer.name, answer.fields)
            self.said.emit(good if answer.is_good else answer.sentence)
            self._tell()

        question = question_about(peer, "Ping", seconds=PING_SECONDS)
        self._tell()
        self._client.ask(question, answered)

"""What the page of peers says of each: a row of the table, and the same in sentences. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from postroad.contract import Path
from postroad_tray import plain
from postroad_tray.ages import ago
from postroad_tray.facts import Peer, Picture, Trust
from postroad_tray.tongue import _, many, number
from postroad_tray.trails import SPAN_SECONDS, Trail
from postroad_tray.window.cells import Cell, Column, Row
from postroad_tray.window.shapes import Mark

NOT_MEASURED = float("inf")  # sorts behind all that was
MILLISECONDS_MAX = 99_999
SPREAD_MIN = 0.5  # of the highest value, from top to bottom: what hardly changes looks so


def columns() -> tuple[Column, ...]:
    return (
        Column(_("Name"), _("Whose node it is"), letters=14, stretches=True),
        Column(_("Connection"), _("How you are connected with it at this moment"), letters=14),
        Column(_("Round trip"), _("How long a packet takes there and back")),
        Column(_("Last hour"), _("How the round trip was in the last hour"), letters=16),
        Column(_("Last seen"), _("When it last proved itself"), letters=12),
        Column(_("Holds letters"), _("Who keeps letters for whom, while they are off")),
        Column(_("Trust"), _("Whether you have compared the safety numbers")),
    )


def row(peer: Peer, trail: Trail, now: float, *, is_known: bool = True) -> Row:
    """`is_known`: whether the service tells now how it is."""
    milliseconds = peer.round_trip_milliseconds
    return Row(
        peer.object_path,
        (
            Cell(peer.name or _("without a name"), peer.name.casefold(), spoken=peer.address),
            Cell(way(peer, is_known), _WAY_RANKS[peer.path], mark=_WAY_MARKS[peer.path]),
            Cell(
                in_milliseconds(milliseconds) if milliseconds else "–",
                milliseconds or NOT_MEASURED,
                spoken="" if milliseconds else _("not measured"),
                is_number=True,
            ),
            Cell("–" if not trail else "", _last(trail), trend(trail), points=line(trail, now)),
            Cell(seen(peer, now), -float(peer.seen_at)),
            holding_cell(peer.holds_for_us, peer.we_hold_for_them),
            trust_cell(peer.trust),
        ),
    )


def summary(picture: Picture) -> str:
    """How many are there at this moment."""
    if not picture.is_there:
        return _("Who is connected is not known while Postroad does not answer.")
    known = picture.node.peers_known or len(picture.peers)
    if not known:
        return _("You have no contacts yet, so there is nobody to reach.")
    said = many(
        "You know {n} node, and are connected with {online} at this moment.",
        "You know {n} nodes, and are connected with {online} at this moment.",
        known,
    )
    return said.format(online=picture.node.peers_online)


def sentence(peer: Peer, trail: Trail, now: float, *, is_known: bool = True) -> str:
    """All of the row, for reading."""
    parts = [
        _("{name}: {way}.").format(
            name=plain.apart(peer.name) or _("without a name"), way=way(peer, is_known)
        ),
        _("Last seen: {when}.").format(when=seen(peer, now)),
        trend(trail),
    ]
    parts.append(holding_sentence(peer.holds_for_us, peer.we_hold_for_them))
    return " ".join(one for one in parts if one)


def way(peer: Peer, is_known: bool = True) -> str:
    if not is_known:
        return _("not known")
    if not peer.online:
        return _("not connected")
    return {
        Path.DIRECT: _("direct"),
        Path.RELAYED: _("relayed"),
        Path.NONE: _("connected"),
    }[peer.path]


def seen(peer: Peer, now: float) -> str:
    return _("now") if peer.online else ago(peer.seen_at, now)


def holding_cell(for_us: bool, for_them: bool) -> Cell:
    """Who keeps letters for whom."""
    match for_us, for_them:
        case True, True:
            said = _("for each other")
        case True, False:
            said = _("for you")
        case False, True:
            said = _("you for them")
        case _other:
            said = "–"
    return Cell(said, -(2.0 * for_us + for_them))


def holding_sentence(for_us: bool, for_them: bool) -> str:
    match for_us, for_them:
        case True, True:
            return _("You keep letters for each other.")
        case True, False:
            return _("They keep letters for you.")
        case False, True:
            return _("You keep letters for them.")
        case _other:
            return ""


def trust_cell(one: Trust) -> Cell:
    return Cell(trust(one), _TRUST_RANKS[one], mark=_TRUST_MARKS[one])


def trust(one: Trust) -> str:
    return {
        Trust.VERIFIED: _("verified"),
        Trust.UNVERIFIED: _("not compared"),
        Trust.BLOCKED: _("blocked"),
        Trust.REVOKED: _("ended"),
    }[one]


_TRUST_MARKS: Mapping[Trust, Mark | None] = {
    Trust.VERIFIED: Mark.OK,
    Trust.UNVERIFIED: None,
    Trust.BLOCKED: Mark.OFF,
    Trust.REVOKED: Mark.BROKEN,
}
_TRUST_RANKS = {one: float(rank) for rank, one in enumerate(Trust)}
_WAY_MARKS: Mapping[Path, Mark] = {
    Path.DIRECT: Mark.OK,
    Path.RELAYED: Mark.WAITING,
    Path.NONE: Mark.OFF,
}
_WAY_RANKS = {one: float(rank) for rank, one in enumerate(Path)}


def in_milliseconds(milliseconds: float) -> str:
    if milliseconds > MILLISECONDS_MAX:
        return _("more than {n} s").format(n=MILLISECONDS_MAX // 1000)
    shown = number(milliseconds, 1 if milliseconds < 10 else 0)
    return _("{n} ms").format(n=shown)


def trend(trail: Trail) -> str:
    """What the line of the last hour shows, in words."""
    if not trail:
        return _("Nothing was measured in the last hour.")
    values = sorted(one.milliseconds for one in trail)
    if len(values) == 1:
        return _("In the last hour: {ms}.").format(ms=in_milliseconds(values[0]))
    return _("In the last hour between {least} and {most}, half below {median}.").format(
        least=in_milliseconds(values[0]),
        most=in_milliseconds(values[-1]),
        median=in_milliseconds(values[len(values) // 2]),
    )


def line(trail: Trail, now: float) -> tuple[tuple[float, float], ...]:
    """The points of the hour, each of its place in the field: 0 to 1 along, 0 to 1 up."""
    if not trail:
        return ()
    values = [min(one.milliseconds, MILLISECONDS_MAX) for one in trail]
    highest, lowest = max(values), min(values)
    spread = max(highest - lowest, highest * SPREAD_MIN)
    bottom = (highest + lowest - spread) / 2
    points = [
        (1 - (now - one.at) / SPAN_SECONDS, (value - bottom) / spread)
        for one, value in zip(trail, values, strict=True)
    ]
    return (*points, (1.0, points[-1][1]))  # it lasts until now


def _last(trail: Trail) -> float:
    return trail[-1].milliseconds if trail else NOT_MEASURED


def ping_words(name: str, told: Mapping[str, object]) -> str:
    """What a ping brought."""
    who = plain.apart(name) or _("without a name")
    found = told.get("Milliseconds")
    milliseconds = float(found) if isinstance(found, int | float) else 0.0
    if told.get("Direct") is True:
        return _("{name}'s node answers: direct, {ms}.").format(
            name=who, ms=in_milliseconds(milliseconds)
        )
    return _("{name}'s node answers: through a relay, {ms}.").format(
        name=who, ms=in_milliseconds(milliseconds)
    )

"""What each command answers with --json: the one place that says it, for programs and for people.

Purpose: `postroad schema` and docs/cli.md are made of this, and the tests hold every real answer to
it. Within one version a field may be added, and none goes or changes its meaning.
It is longer than other modules because it is a table.
"""

from dataclasses import replace

from postroad.app.shapes import (
    Field,
    Shape,
    anything,
    many,
    moment,
    nested,
    number,
    text,
    truth,
    whole,
)
from postroad.contract import Health, MessageState, Path, Severity, State

ERROR: Shape = {"error": text("a sentence for a person: what went wrong, and what to do")}
NOTHING: Shape = {}

# What several answers have in common

_ADDRESS = text("an address of Postroad")
_PORT = whole("a TCP port of 127.0.0.1")
_PAUSED: Shape = {
    "paused": truth("whether the owner took the node off the network"),
    "paused_until": moment("when that ends by itself; null: with `resume`").or_null(),
}
_PROTECTION: Shape = {
    "protection": text("what opens the keys", "plain", "passphrase", "keyring", "credential"),
    "locked": truth("whether the keys wait for that"),
    "argon2id": nested(
        {
            "memory_kib": whole("of memory"),
            "passes": whole("over it"),
            "lanes": whole("beside each other"),
        },
        "what a try of the passphrase costs",
    ).or_absent(),
}
_CONTACT: Shape = {
    "name": text("what the owner calls them"),
    "address": _ADDRESS,
    "seen_at": moment("when their node was last heard of").or_null(),
    "verified": truth("whether the owner compared the safety number"),
    "verified_at": moment("when that was").or_null(),
    "blocked": truth("whether the owner blocked them"),
    "revoked": truth("whether their identity was ended"),
}
_RELATIONS: Shape = {
    **_CONTACT,
    "fingerprint": text("of their keys"),
    "since": moment("when they became a contact"),
    "holds_for_us": truth("whether their node keeps letters for the owner"),
    "we_hold_for_them": truth("whether this node keeps letters for them"),
    "letters_under_way": whole("letters of the owner's that are on their way to them"),
}
_INVITATION: Shape = {
    "id": text("for `invitations withdraw`"),
    "name": text("for whom it is, in the owner's words; may be empty"),
    "state": text("what became of it", "open", "used", "withdrawn", "expired"),
    "created_at": moment("when it was made"),
    "expires_at": moment("until when it works"),
    "used_by": text("who used it").or_null(),
    "used_at": moment("when that was").or_null(),
    "withdrawn_at": moment("when its maker took it back").or_null(),
}
_REQUEST: Shape = {
    "id": text("for `requests accept` and `refuse`"),
    "address": _ADDRESS,
    "subject": text("as its writer put it"),
    "came_at": moment("when it came"),
    "expires_at": moment("when it goes by itself"),
}
_PROPOSAL: Shape = {
    "id": text("for `proposals accept` and `decline`"),
    "introducer": text("what the owner calls the contact who proposes"),
    "introducer_fingerprint": text("of their keys"),
    "name": text("of the person who is proposed"),
    "address": _ADDRESS,
    "state": text("how far it is", "open", "accepted", "declined", "refused", "met"),
    "came_at": moment("when it came"),
    "expires_at": moment("when it is over"),
    "remarks": many(text("a sentence"), "what the owner should know before they say yes"),
}
_PATH: Shape = {
    "direct": truth("false: by way of a relay"),
    "at": text("their address and port").or_null(),
    "family": text("of that address", "IPv4", "IPv6").or_null(),
    "round_trip_milliseconds": number("as measured; 0 while nobody knows"),
}
_BUNDLE: Shape = {
    "letters": whole("letters in it"),
    "receipts": whole("receipts in it"),
    "changes": whole("revocations and rotations in it"),
    "wishes": whole("to have letters sealed anew"),
    "invitation": truth("whether an invitation is in it"),
    "left_out": whole("letters that wait and cannot be in it; `queue` says why"),
    "written": truth("whether there is a file"),
}
_GONE: Shape = {
    "gone_bytes": whole(
        "of the sealed letter, to whoever has most of it; null: it is not under way now, or small"
    ).or_null(),
    "sealed_bytes": whole("of how many").or_null(),
}
_ONE_PARCEL: Shape = {"id": whole("its number in the queue"), "recipient": _ADDRESS}
_DOOR: Shape = {
    "protocol": text("what is spoken there", "imap", "pop3", "smtp"),
    "host": text("always 127.0.0.1"),
    "port": _PORT,
    "user_name": text("the address"),
    "security": text("it never leaves this computer", "none"),
    "authentication": text("the mailbox password, as it is", "password"),
}
_QUARANTINED: Shape = {
    "kind": text("letter, letter to send, parcel or message"),
    "name": text("which one"),
    "reason": text("a sentence"),
    "at": moment("when it was found"),
}
_NEW_PASSWORD = text("the mailbox password; shown this once")
_SERVICE = truth("whether the node is being made a service of the user's systemd")
_WORDS = text("24 words, with spaces between them; shown this once")
_AUDIT_ENTRY: Shape = {
    "number": whole("its place in the log"),
    "damaged": truth("true where nothing else can be told of it").or_absent(),
    "at": moment("when it was noted").or_absent(),
    "event": text("what happened").or_absent(),
    "facts": anything("what belongs to it, by name").or_absent(),
    "previous": text("the hash of the entry before it").or_absent(),
    "hash": text("of this entry").or_absent(),
}
_BACKUP: Shape = {
    "folder": text("where it is"),
    "number": whole("how many there were in that folder"),
    "made_at": moment("when"),
    "messages": whole("in it"),
    "total_bytes": whole("of mail and database in it"),
}
_PART: Shape = {
    "template": text("a sentence in English, with {names} for what is put in; key of translations"),
    "plural": text("the same, where `count` is not 1; there {n} is `count`").or_absent(),
    "count": whole("that decides between the two").or_absent(),
    "arguments": anything("what is put in: texts, by their names"),
}
_PARTS = many(nested(_PART), "the sentences of it, with spaces between them")
_FINDING: Shape = {
    "about": text("what was looked at"),
    "state": text("how it is", "good", "limited", "bad", "unknown"),
    "summary": text("a sentence"),
    "next_step": text("what to do; may be empty"),
    "summary_parts": _PARTS,
    "next_step_parts": _PARTS,
}

# The answers

_VERDICT: Shape = {
    "state": text("what the node is doing", *State),
    "health": text("whether the owner should look", *Health),
    "sentence": text("the state, for a person"),
    "problems": many(
        nested(
            {
                "code": text("its name; new ones may come"),
                "severity": text("how grave it is", *Severity),
                "summary": text("what is, in sentences"),
                "next_step": text("what to do, with a command"),
                "summary_parts": _PARTS,
                "next_step_parts": _PARTS,
            }
        ),
        "the gravest first",
    ),
}
_COUNTED: Shape = {
    "contact_count": whole("people who can be written to"),
    "letters_under_way": whole("letters that are on their way"),
    "parcels_waiting": whole("of them, one for each recipient, those that no holder has"),
    "parcels_held": whole("of them, those that a holder has"),
    "requests_waiting": whole("letters of strangers that wait for an answer"),
    "holders": whole("who keep letters for the owner now"),
    "holders_silent": whole("who should, and have not been seen for days"),
    "holders_wanted": whole("how many there are to be"),
    "helpers": whole("that serve the owner"),
}
STATUS: Shape = {
    **_VERDICT,
    "address": _ADDRESS,
    "locked": truth("false"),
    "identity_trouble": text("a sentence where the identity or this device ended; else empty"),
    "protection": _PROTECTION["protection"],
    "user_name": text("for mail programs"),
    "smtp_port": _PORT.or_null(),
    "imap_port": _PORT.or_null(),
    "pop3_port": _PORT.or_null(),
    **_COUNTED,
    **_PAUSED,
    "clock": nested(
        {
            "confirmed": truth("whether the wall clock may be believed"),
            "because": text("why", "voices", "uptime", "started", "stepped", "contradicted"),
            "agreeing": whole("contacts' nodes that say the same time"),
            "disagreeing": whole("contacts' nodes that say another"),
            "errors_seconds": many(number("seconds"), "how far theirs are from ours"),
        },
        "promise M12",
    ),
    "links": whole("to other nodes, open now; a node at rest has none"),
    "messages_sent": whole("to other nodes since the start"),
    "messages_heard": whole("from other nodes since the start"),
    "quarantine": many(nested(_QUARANTINED), "what is damaged and set aside"),
}
OFF: Shape = {
    **ERROR,
    **_VERDICT,
    "state": text("starting: systemd starts it just now", "offline", "starting"),
    "health": text("ok: it is starting", "broken", "ok"),
    **{name: one.or_absent() for name, one in _COUNTED.items()},
    "store": text("why the store cannot be read").or_absent(),
    "service": nested(
        {
            "installed": truth("whether systemd knows a unit of it"),
            "state": text("of the unit: inactive, failed, activating ..."),
            "result": text("how it ended: success, exit-code, signal, watchdog ..."),
            "status": text("what it said last; may be empty"),
        },
        "what systemd says; null: there is none, or it said nothing in time",
    ).or_null(),
}
WATCHED: Shape = {
    **_VERDICT,
    "contact_count": _COUNTED["contact_count"],
    "holders": _COUNTED["holders"],
    "letters_under_way": _COUNTED["letters_under_way"],
    "letters": many(
        nested(
            {
                "id": whole("its number in the queue"),
                "letter": text("the id that the mail program was told"),
                "recipient": _ADDRESS,
                "size": whole("octets of the letter"),
                "state": text("how far it is", *MessageState),
                "holders": whole("who keep a copy"),
                "tries": whole("so far"),
                "accepted_at": moment("when it was written"),
                "expires_at": moment("until when it is tried"),
                "next_try_at": moment("when it is tried again; null: it is at an end").or_null(),
                "reason": text("a sentence; may be empty"),
                "reason_parts": _PARTS,
                **_GONE,
            }
        ),
        "that are not at an end, and those that came to it since the last object",
    ),
    "peers": many(
        nested(
            {
                "name": text("what the owner calls the contact"),
                "seen_at": moment("when a node of theirs was last heard of").or_null(),
                "path": text("how this node is linked with theirs now", *Path),
                "milliseconds": number("there and back; null without a link").or_null(),
                "holds_for_us": _RELATIONS["holds_for_us"],
                "we_hold_for_them": _RELATIONS["we_hold_for_them"],
            }
        ),
        "the nodes of contacts",
    ),
}
_TIMES = nested(
    {
        "letters": whole("that were timed"),
        "median": number("seconds; half of them took no longer"),
        "percentile_95": number("seconds; 95 % of them took no longer"),
    },
    "exact: one of the times that were measured",
).or_null()
_NUMBERS: Shape = {
    "accepted": whole("letters, one for each recipient, that the owner wrote then"),
    "held": whole("of them, those that a holder had at some time"),
    "delivered": whole("of them, those whose recipient's receipt is here"),
    "requested": whole("of them, those that lie among somebody's requests"),
    "late": whole("of them, those that were under way for more than a day"),
    "failed": whole("of them, those that were refused, or not answered in time"),
    "cancelled": whole("of them, those that the owner took back"),
    "under_way": whole("of them, those that are not at an end"),
    "seconds_to_holder": _TIMES,
    "seconds_to_receipt": _TIMES,
}
_CAME = {
    "from_contacts": whole("letters that came in from contacts"),
    "from_strangers": whole("letters that came in from strangers, and went to the requests"),
    "refused_here": whole("letters that came and were refused, whoever wrote them"),
}
_CAME_IF_KNOWN: Shape = {  # a damaged table costs these numbers and no other ones
    name: replace(one, about=f"{one.about}; null: cannot be read now").or_null()
    for name, one in _CAME.items()
}
STATISTICS: Shape = {
    "days": whole("of how many"),
    "since": moment("from when on"),
    "until": moment("until when"),
    **_NUMBERS,
    "by_day": many(
        nested({"day": text("like 2026-11-30, in UTC"), **_NUMBERS}),
        "by the day of acceptance; those on which nothing was written are left out",
    ),
    "by_contact": many(
        nested(
            {
                "name": text("what the owner calls them; null: all who are no contacts").or_null(),
                "address": _ADDRESS.or_null(),
                **_NUMBERS,
            }
        ),
        "whoever was written to most comes first",
    ),
    "outages": nested(
        {
            "holders_failed": whole("holders that did not answer, or broke off, when needed"),
            "letters": whole("that they failed"),
            "survived": whole("of these, those that were delivered all the same"),
            "lost": whole("of these, those that expired without an answer"),
            "slowest_seconds": number(
                "until the slowest of the survivors was not on this computer alone"
            ).or_null(),
        },
        "what the failing of holders cost",
    ),
    "hours_by_contact": many(
        nested(
            {
                "name": text("what the owner calls them"),
                "address": _ADDRESS,
                "seen": many(number("of one hour"), "how often a node of theirs was found on"),
                "missed": many(number("of one hour"), "how often it was tried in vain"),
            }
        ),
        "24 numbers each, for the hours of the day in UTC; old observations weigh less",
    ),
    **_CAME_IF_KNOWN,
    "incoming_by_day": many(
        nested({"day": text("like 2026-11-30, in UTC"), **_CAME}),
        "whole days, the oldest first; those on which nothing came are left out",
    ),
}
LOCKED: Shape = {
    **_VERDICT,
    **_PROTECTION,
    "reason": text("what to do, in a sentence"),
    "reason_parts": _PARTS,
}
CANNOT_START: Shape = {**_VERDICT, "cannot_start": text("what it waits for, in a sentence")}

ANSWERS: dict[str, tuple[Shape, ...]] = {
    "setup": (
        {
            "address": _ADDRESS,
            "words": _WORDS,
            "password": _NEW_PASSWORD,
            "smtp_port": _PORT,
            "imap_port": _PORT,
            "pop3_port": _PORT,
            "sheet": text("the file of the revocation sheet").or_null(),
            "service": _SERVICE,
        },
        {
            "address": _ADDRESS,
            "smtp_port": _PORT,
            "imap_port": _PORT,
            "pop3_port": _PORT,
            "service": _SERVICE,
            "made_at": moment("when the backup was made"),
            "messages": whole("in it"),
            "missing": many(text("a message, in words"), "what could not be read from it"),
        },
    ),
    "status": (STATUS, LOCKED, CANNOT_START, OFF),
    "statistics": (STATISTICS,),
    "watch": (WATCHED,),
    "queue": (
        {
            "queue": many(
                nested(
                    {
                        **_ONE_PARCEL,
                        "letter": text("the id that the mail program was told"),
                        "state": text("whether a holder has it", "waiting", "held"),
                        "reason": text("a sentence; empty before the first try"),
                        "reason_parts": _PARTS,
                        "holders": whole("who keep a copy"),
                        "next_try_at": moment("when it is tried again"),
                        "tries": whole("so far, in this state"),
                        "advice": text("what to do; may be empty"),
                        "advice_parts": _PARTS,
                        "bundled_at": moment("when it went into a bundle").or_null(),
                        **_GONE,
                    }
                ),
                "one letter to one recipient each, oldest first",
            ),
            "now": moment("by the node's clock"),
            **_PAUSED,
        },
    ),
    "queue retry": ({"tried": many(nested(_ONE_PARCEL), "what is being tried now")},),
    "queue cancel": (
        {
            **_ONE_PARCEL,
            "letter": text("the id that the mail program was told"),
            "state": text("from now on", "cancelled"),
            "holders": whole("who keep a copy that only the recipient can take away"),
            "has_left": truth("whether a copy may be anywhere but on this computer"),
            "readable_until": moment("when such a copy expires").or_null(),
        },
    ),
    "log": (
        {
            "lines": many(
                nested(
                    {
                        "at": moment("when it was written"),
                        "level": text("how grave", "debug", "info", "warning", "error"),
                        "text": text("the line"),
                        "room": text("which part of the program says it").or_absent(),
                        "parcel": text("a number of the queue").or_absent(),
                        "letter": text("the id that the mail program was told").or_absent(),
                        "mail": text("the mail id").or_absent(),
                        "state": text("of the parcel, from then on").or_absent(),
                        "holder": text("8 digits of a device key").or_absent(),
                        "peer": text("8 digits of a device key").or_absent(),
                    }
                ),
                "oldest first",
            )
        },
    ),
    "invite": (
        {
            "link": text("the invitation: a secret, for one person"),
            "id": text("for `invitations withdraw`"),
            "expires_at": moment("until when it works"),
            "seconds": number("how long that is"),
            "name": text("for whom it is; may be empty"),
            "holders_told": whole("holders who know of it already"),
            "holders": whole("holders there are"),
        },
    ),
    "accept": (
        {
            "address": _ADDRESS,
            "is_new": truth("false: they were a contact already"),
            "name": text("what the owner calls them"),
        },
        {"helper": text("the name of the helper that serves from now on")},
    ),
    "contacts": ({"contacts": many(nested(_CONTACT), "by name")},),
    "contacts show": (_RELATIONS,),
    "contacts rename": ({"before": text("what they were called"), **_CONTACT},),
    "contacts block": (_RELATIONS,),
    "contacts unblock": (_RELATIONS,),
    "contacts remove": (_RELATIONS,),
    "contacts export": (
        {
            "text": text("the file"),
            "count": whole("contacts in it"),
            "left_out": whole("contacts who are blocked"),
        },
    ),
    "verify": (
        {
            **_CONTACT,
            "number": many(text("five digits"), "the safety number, in twelve groups"),
            "code": text("what a camera reads"),
            "compared": truth("whether it was compared with what they showed"),
        },
        _CONTACT,
    ),
    "requests": (
        {
            "open": truth("whether letters of strangers are taken at all"),
            "requests": many(nested(_REQUEST), "oldest first"),
        },
    ),
    "requests show": ({**_REQUEST, "text": text("the letter, as text")},),
    "requests accept": (_REQUEST,),
    "requests refuse": ({**_REQUEST, "silently": truth("whether its writer is told nothing")},),
    "introduce": (
        {
            "names": many(text("a name"), "of the two"),
            "addresses": many(_ADDRESS, "of the two"),
        },
    ),
    "proposals": ({"proposals": many(nested(_PROPOSAL), "newest last")},),
    "proposals accept": (_PROPOSAL,),
    "proposals decline": (_PROPOSAL,),
    "invitations": ({"invitations": many(nested(_INVITATION), "that the owner made")},),
    "invitations withdraw": (_INVITATION,),
    "bundle write": (_BUNDLE,),
    "bundle read": (
        {
            "author": text("whose bundle it is, if a contact's").or_null(),
            "inviter": text("whose invitation is in it").or_null(),
            "accepted": truth("whether that was accepted"),
            "records": whole("that are newer than what was known"),
            "filed": whole("letters that are in the INBOX now"),
            "known": whole("letters that were here before"),
            "refused": whole("letters that were refused; the receipt says why"),
            "left": whole("letters that were not taken now"),
            "unreadable": whole("letters that cannot be opened"),
            "held": whole("letters for others who rent a drop here"),
            "for_others": whole("letters for others"),
            "receipts": whole("receipts that end letters of the owner's"),
            "receipts_for_others": whole("receipts that end letters of others"),
            "changes": whole("revocations and rotations that concern the owner"),
            "to_be_sealed_anew": whole("letters for a key that is not here"),
            "sealed_anew": whole("letters of the owner's that are"),
            "trouble": text("why reading ended early").or_null(),
            "answer": nested(_BUNDLE, "what was written into --answer").or_null(),
        },
    ),
    "peers": (
        {
            "peers": many(
                nested(
                    {
                        "name": text("what the owner calls the contact"),
                        "address": _ADDRESS,
                        "seen_at": moment("when a node of theirs was last heard of").or_null(),
                        "holds_for_us": _RELATIONS["holds_for_us"],
                        "we_hold_for_them": _RELATIONS["we_hold_for_them"],
                        "nodes": many(
                            nested(
                                {
                                    "key": text("its device key"),
                                    "addresses": many(text("address and port"), "of it"),
                                    "relay": text("where it waits").or_null(),
                                    "link": nested(_PATH, "that is open now").or_null(),
                                }
                            ),
                            "of theirs",
                        ),
                    }
                ),
                "of the owner's contacts",
            )
        },
    ),
    "peers ping": (
        {
            "name": text("of the contact"),
            "milliseconds": number("there and back"),
            **_PATH,
        },
    ),
    "netcheck": (
        {
            "own": many(text("address and port"), "of this machine"),
            "outside": many(
                nested(
                    {
                        "address": text("address and port"),
                        "sure": truth("whether two networks say so"),
                        "open": truth("whether strangers are let in").or_null(),
                    }
                ),
                "where others see it",
            ),
            "mapped_by_router": many(text("address and port"), "opened by the router"),
            "nat": nested(
                {
                    family: text("what it does", "unknown", "none", "some", "cone", "symmetric")
                    for family in ("ipv4", "ipv6")
                },
                "between this machine and others",
            ),
            "udp": truth("whether it passes").or_null(),
            "relay": text("where this node waits").or_null(),
            "relay_milliseconds": number("to it").or_null(),
            "relay_is_our_own": truth("whether it is this node's"),
            "our_relay_is_open": truth("whether others reach it").or_null(),
            "nodes": whole("that were asked"),
            "nodes_answering": whole("that answered"),
            "clock_error_seconds": number("by what they say").or_null(),
            "findings": many(nested(_FINDING), "the most important first"),
        },
    ),
    "pause": (_PAUSED,),
    "resume": ({"was_paused": truth("whether there was a pause to end")},),
    "helpers": (
        {
            "helpers": many(
                nested(
                    {
                        "name": text("of the helper"),
                        "seen_at": moment("when it last answered").or_null(),
                        "refusal": text("why it serves no more; empty while it does"),
                    }
                ),
                "that serve the owner",
            )
        },
    ),
    "helpers remove": (NOTHING,),
    "helper invite": (
        {
            "link": text("for one person: a secret"),
            "expires": moment("until when it works"),
        },
    ),
    "helper people": (
        {
            "people": many(
                nested(
                    {
                        "name": text("of the person"),
                        "address": _ADDRESS,
                        "seen_at": moment("when their node was last heard of").or_null(),
                        "letters_held": whole("for them"),
                    }
                ),
                "who are served",
            )
        },
    ),
    "helper remove": ({"address": _ADDRESS},),
    "helper status": (
        {
            "helper": text("its name"),
            "postroad": text("the version of the program"),
            "addresses": many(text("address and port"), "where others reach it"),
            "relay": text("where it relays").or_null(),
            "messages_sent": whole("to other nodes since the start"),
            "messages_heard": whole("from other nodes since the start"),
            "people": whole("who are served"),
            "letters_held": whole("for all of them"),
        },
    ),
    "keys": (
        {
            **_PROTECTION,
            "file": text("where they lie"),
            "running": truth("whether a node was asked"),
            "reason": text("why they are locked").or_absent(),
            "reason_parts": _PARTS.or_absent(),
        },
    ),
    "keys protect": ({**_PROTECTION, "before": _PROTECTION["protection"]},),
    "unlock": ({**_PROTECTION, "was_locked": truth("whether there was anything to do")},),
    "password": (
        {
            "password": _NEW_PASSWORD,
            "user_name": text("the address"),
            "kept_in": text("a file from which programs read it").or_null(),
        },
    ),
    "identity": (
        {
            "address": _ADDRESS,
            "former": many(_ADDRESS, "that were the owner's before, and still reach them"),
            "is_ended": truth("whether it was revoked"),
        },
    ),
    "identity sheet": ({"address": _ADDRESS, "file": text("the page to print")},),
    "identity rotate": (
        {
            "address": _ADDRESS,
            "new_address": _ADDRESS,
            "words": _WORDS,
            "asked": many(whole("a place"), "of the words that --finish wants on stdin"),
        },
        {"address": _ADDRESS, "was": _ADDRESS},
    ),
    "devices": (
        {
            "address": _ADDRESS,
            "is_ended": truth("whether the identity was revoked"),
            "devices": many(
                nested(
                    {
                        "id": text("for `devices revoke`"),
                        "key": text("the device key"),
                        "is_this": truth("whether it is this computer"),
                        "is_revoked": truth("whether nobody takes anything from it"),
                        "takes_mail": truth("whether letters go there"),
                        "seen_at": moment("when it was last heard of").or_null(),
                        "certified_until": moment("how long it may speak").or_null(),
                    }
                ),
                "that were set up from the 24 words, as far as this one knows",
            ),
        },
    ),
    "devices revoke": ({"id": text("of the device")},),
    "revoke": (
        {
            "fingerprint": text("of the identity that has ended"),
            "is_yours": truth("whether it was the owner's"),
        },
    ),
    "policy": (
        {
            "policy": text("the file").or_null(),
            "digest": text("of it").or_null(),
            "settings": many(
                nested(
                    {
                        "key": text("of the configuration"),
                        "value": anything("that takes effect"),
                        "wanted": anything("what the owner configured"),
                        "source": text("who said so", "default", "configuration", "policy"),
                        "bound": truth("whether the policy says anything about it"),
                    }
                ),
                "all of them",
            ),
        },
    ),
    "doctor": (
        {
            "health": text("that of the worst finding", "ok", "attention", "broken"),
            "findings": many(
                nested(
                    {
                        "about": text("the part of it, like ports or disk"),
                        "health": text("how bad it is", "ok", "attention", "broken"),
                        "summary": text("a sentence"),
                        "next_step": text("what to do, or to type; may be empty"),
                    }
                ),
                "all parts, in the order in which they are best read",
            ),
            "report": truth("whether all that is private was left out"),
            "system": text("of this computer, in a report").or_null(),
        },
    ),
    "config sample": ({"text": text("of a configuration file that changes nothing")},),
    "config check": (
        {
            "file": text("that was looked at"),
            "good": truth("whether a node would start with it"),
            "mistakes": many(
                nested(
                    {
                        "line": whole("where the key stands").or_null(),
                        "key": text("as it is written"),
                        "reason": text("what is wrong with it"),
                        "says": text("all of it, in a sentence"),
                    }
                ),
                "all of them, in the order of the lines",
            ),
            "narrowed": many(text("a key"), "of which the policy allows less"),
            "keys": many(text("a key"), "that there are"),
        },
    ),
    "config reload": (
        {
            "changed": many(text("a key"), "whose new value the node goes by now"),
            "after_restart": many(text("a key"), "whose new value counts after a new start"),
        },
    ),
    "audit": ({"entries": many(nested(_AUDIT_ENTRY), "oldest first")},),
    "audit verify": (
        {
            "whole": truth("whether nothing was changed, taken out, moved or cut off"),
            "entries": whole("how many there are"),
            "first": whole("the number of the oldest").or_null(),
            "pruned": anything("what was forgotten because the log was long"),
            "head": text("to be kept elsewhere").or_null(),
            "head_kept": text("that was given with --head").or_null(),
            "faults": many(
                nested({"number": whole("of the entry").or_null(), "says": text("a sentence")}),
                "what is wrong",
            ),
        },
    ),
    "test-letter": (
        {"mailbox": text("where the letter is"), "address": text("of the owner, to whom it is")},
    ),
    "mail-client": (
        {
            "program": text("as it was named; other: none was"),
            "title": text("as people call it"),
            "address": _ADDRESS,
            "name": text("for the From"),
            "incoming": nested(_DOOR, "where it reads"),
            "incoming_pop3": nested(_DOOR, "where it could read instead").or_null(),
            "outgoing": nested(_DOOR, "where it sends"),
            "steps": many(text("a sentence"), "in its own windows"),
            "file": text("what --write writes").or_null(),
            "text": text("what stands in that file").or_null(),
            "password_file": text("where such a file has the password read from"),
            "written": many(text("a file"), "that was written"),
            "then": text("the line to type then").or_null(),
        },
    ),
    "store": (
        {
            "folder": text("where everything lies"),
            "format": whole("in which it was written"),
            "database_bytes": whole("of the database and its log"),
            "unused_bytes": whole("of those, in which nothing stands"),
            "bodies_bytes": whole("of large letters"),
            "sealed_bytes": whole("of large sealed letters"),
            "free_bytes": whole("on that disk"),
            "reserve_bytes": whole("that are kept free"),
            "messages": whole("in all folders"),
            "mailboxes": whole("folders"),
            "parcels_under_way": whole("that are on their way: one letter for one recipient each"),
            "letters_held": whole("for others"),
            "quarantine": whole("damaged things that were set aside"),
        },
    ),
    "store check": (
        {
            "whole": truth("whether all is as it was written"),
            "read_bytes": whole("of letters that were read"),
            "faults": many(
                nested(
                    {
                        "what": text("is damaged", "database", "body", "sealed letter"),
                        "name": text("of it"),
                        "reason": text("a sentence without an end"),
                        "where": text("which message that is; may be empty"),
                    }
                ),
                "the first hundred",
            ),
            "more_faults": whole("that are not listed"),
            "running": truth("whether a node was asked how it writes"),
            "journal_mode": text("of the node's connection").or_null(),
            "synchronous": whole("of it; 2 is FULL").or_null(),
        },
    ),
    "backup": (
        {
            "last": nested(
                {
                    "folder": text("where it is"),
                    "made_at": moment("when"),
                    "number": whole("how many there were in that folder"),
                    "messages": whole("in it"),
                },
                "the last one that this computer made",
            ).or_null(),
        },
    ),
    "backup to": (
        {
            **_BACKUP,
            "written_bytes": whole("that were new"),
            "missing": many(text("a file of the store"), "what the store had lost before"),
            "same_disk": truth("whether it is in the file system of the mail itself"),
        },
    ),
    "backup check": (
        {
            **_BACKUP,
            "whole": truth("whether all is as it was written"),
            "catalogue_is_whole": truth("whether its list is, and not only the copy of it"),
            "database_is_whole": truth("whether folders, flags, contacts and queue are"),
            "damaged_files": many(text("a file of the store"), "what else is damaged"),
            "letters": many(text("a message, in words"), "what stands in those files"),
            "mends": truth("whether the next backup into that folder writes anew what is damaged"),
        },
    ),
    "store compact": (
        {"before_bytes": whole("of the database"), "after_bytes": whole("of the database")},
    ),
    "service enable": (
        {
            "sandbox": truth("whether the sandbox is on"),
            "sandbox_reason": text("why it is left out; empty: it is on"),
            "linger": truth("whether the node also runs while its user is not logged in"),
            "linger_line": text("the line to type so that it does; may be empty"),
        },
    ),
    "service disable": (
        {
            "data": text("the folder where mail and keys stay"),
            "set_up": truth("whether there are any"),
        },
    ),
    "service restart": (
        {"laid_anew": truth("whether ports or folders of the configuration were others")},
    ),
    "service status": (
        {
            "installed": truth("whether systemd knows the unit"),
            "enabled": truth("whether it starts by itself"),
            "state": text("the word of systemd's, like active, inactive or failed"),
            "status": text("what the node says of itself; may be empty"),
            "restarts": whole("how often systemd had to start it again"),
            "pid": whole("of the process").or_null(),
            "unit": text("the file of the unit").or_null(),
            "sandbox": truth("whether the sandbox is on"),
            "linger": truth("whether it also runs while its user is not logged in"),
            "ports": many(_PORT, "those that systemd holds for it"),
        },
    ),
    "service trial": (
        {
            "holds": many(
                nested({"what": text("in words"), "holds": truth("whether it does")}),
                "what the sandbox keeps, as it is seen from inside",
            )
        },
    ),
    "version": (
        {
            "postroad": text("the version of this program"),
            "python": text("that runs it"),
            "iroh": text("the network library").or_null(),
            "cryptography": text("the cryptographic library").or_null(),
            "sqlite": text("the database library"),
            "store_format": whole("that this program writes"),
            "letter_format": whole("that this program seals"),
            "protocol": text("that nodes speak"),
        },
    ),
}


def fields_of(shape: Shape, path: str = "") -> list[tuple[str, Field]]:
    """All of them, those of objects inside behind a dot, those of lists behind []."""
    found: list[tuple[str, Field]] = []
    for name, one in shape.items():
        found.append((f"{path}{name}", one))
        inside = one.items or one
        if inside.fields:
            below = f"{path}{name}[]." if one.items else f"{path}{name}."
            found += fields_of(inside.fields, below)
    return found

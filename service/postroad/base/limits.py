"""Every limit in one place: sizes in bytes, times in seconds.

Numbers quoted from docs/architecture.md are promises; the rest may be tuned.
"""

KIB = 1024
MIB = 1024 * KIB
MINUTE = 60
HOUR = 3600
DAY = 86400

# Letters
LETTER_BYTES_MAX = 25 * MIB
TRACE_BYTES_MAX = 4 * KIB  # what a node may put on top of it
RECIPIENTS_MAX = 50
EXPIRY_SECONDS_DEFAULT = 30 * DAY
EXPIRY_SECONDS_MIN = 1 * HOUR
EXPIRY_SECONDS_MAX = 30 * DAY
EXPIRY_GRACE_SECONDS = 10 * MINUTE  # nobody files later than the signed expiry and this
DELAYED_NOTICE_SECONDS = 24 * HOUR
SEALED_BYTES_MAX = 32 * MIB  # a letter of the greatest size after padding and sealing

# Headers and MIME, as the intake scanner bounds them
HEADER_BYTES_MAX = 64 * KIB
# A header of the greatest size with the fields on top of it of its sender's node and of ours: what
# was not looked at could say something else than what was checked.
HEADER_READ_BYTES_MAX = HEADER_BYTES_MAX + 2 * TRACE_BYTES_MAX
MIME_PARTS_MAX = 100
MIME_DEPTH_MAX = 20
ADDRESSES_MAX = 500

# Store
BODY_IN_DATABASE_BYTES_MAX = 64 * KIB  # larger bodies live in content-addressed files
COMMIT_BATCH_MAX = 64  # works grouped into one commit
DISK_RESERVE_BYTES = 64 * MIB  # kept free to finish and bounce what was accepted

# Peers
FRAME_BYTES_MAX = 64 * KIB
BULK_CHUNK_BYTES = 64 * KIB
AT_ONCE_BYTES_MAX = 32 * KIB  # a sealed letter this small follows its offer without being asked for
DIAL_SECONDS_MAX = 5.0
ANSWER_SECONDS_MAX = 5.0  # until a peer answers one message; a dead link shows by this
BULK_BYTES_PER_SECOND_MIN = 4 * KIB  # a slower peer is given up
BULK_PAUSE_SECONDS_MAX = 30.0  # between two pieces of a letter on its way
LINK_IDLE_SECONDS = 30.0  # a link without work is closed after this: it wakes us every second
LINKS_MAX = 64
LINKS_SPARE = 8  # places for those who come: an endpoint that has none turns them away
LINKS_PER_PEER_MAX = 2  # both may dial at once; more would be memory for nothing
STREAMS_PER_LINK_MAX = 16
# Two ends do not see a stream end at the same moment, so the accepting end allows for some more.
INCOMING_STREAMS_MAX = 2 * STREAMS_PER_LINK_MAX
HANDSHAKES_MAX = 64  # unproven peers in hand at once
HANDSHAKE_SECONDS_MAX = 5.0
LINK_CLOSE_SECONDS_MAX = 1.0  # for a goodbye that the peer may not hear
LINK_READ_BYTES = 64 * KIB  # taken from the wire at once

# Who comes: contacts, holders, renters and helpers first; the others are strangers (ADR 11)
STRANGER_LINKS_MAX = 32  # open at once; the least used one gives way to the next
ARRIVALS_AT_ONCE = 300  # new links of strangers, each a handshake of some milliseconds, and then
ARRIVALS_PER_SECOND = 25.0
ARRIVALS_OF_SUBNET_AT_ONCE = 120
ARRIVALS_OF_SUBNET_PER_SECOND = 5.0
ARRIVALS_RESERVED = 60  # for subnets from which hardly anybody came, when all others are used up
ARRIVALS_RESERVED_PER_SECOND = 5.0
ARRIVALS_OF_SUBNET_FEW = 5
ARRIVALS_OF_KNOWN_AT_ONCE = 100  # from one host where somebody is whom we know
ARRIVALS_OF_KNOWN_PER_SECOND = 10.0
STRANGER_EXCHANGES_AT_ONCE = 150  # of one stranger; above, they wait
STRANGER_EXCHANGES_PER_SECOND = 10.0
SUBNET_EXCHANGES_AT_ONCE = 600
SUBNET_EXCHANGES_PER_SECOND = 40.0
STRANGERS_EXCHANGES_AT_ONCE = 1500  # of all together
STRANGERS_EXCHANGES_PER_SECOND = 100.0
ACQUAINTANCES_SECONDS = 5 * MINUTE  # between looks at whom we know, if nothing happens before

PEER_PORT_DEFAULT = 46464  # UDP for iroh, TCP for TLS and the relay
HELPER_RELAY_PORT = 443  # TCP: what networks leave open that block everything else
# Reach
KNOCK_SECONDS_MAX = 2.0  # for an answer to a stranger's word, or of a relay to a fresh connection
DIAL_BACKS_A_MINUTE = 2  # for one peer, and for one host; after a pause so many at once
RELAYS_TRIED_MAX = 8  # of those that contacts offer
OBSERVATIONS_MAX = 64  # of our address by peers; the oldest go
JOIN_SECONDS_MAX = 10.0  # that `resume` and `peers ping` wait for a node that joins the network
CHECK_SECONDS_MAX = 8.0  # for all that `netcheck` and `peers ping` try

# Records and invitations
RECORD_BYTES_MAX = 4096
RECORD_SECONDS_MAX = 45 * DAY
REVOKE_BYTES_MAX = 6 * KIB  # an ML-DSA key and signature alone are 5,261 bytes
ROTATE_BYTES_MAX = 12 * KIB  # and here two of each
REVOKED_DEVICES_MAX = 16
RECORDS_AT_HAND_MAX = 256  # in memory, verified and taken apart: some 10 kB each
INVITATION_SECONDS_DEFAULT = 14 * DAY
INVITATION_SECONDS_MIN = 10 * MINUTE
INVITATION_SECONDS_MAX = 30 * DAY
PROPOSAL_SECONDS = 14 * DAY  # a third person's word that two others may meet is good for so long
PROPOSALS_OPEN_MAX = 16  # of one introducer, on which the owner has not decided
INVITATION_CHARACTERS_MAX = 400
DEVICE_CERTIFICATE_SECONDS = 90 * DAY

# Holders
HOLDERS_WANTED = 8
HOLDERS_SAFE = 3  # with fewer, one who has a bad day is missed
DROPS_IN_RECORD_MAX = 8
TICKETS_PER_DROP_MAX = 1000
DROP_BYTES_MAX = 100 * MIB  # for a contact who rents
DROP_LETTERS_MAX = 10_000
TICKET_BYTES_MAX = 50 * MIB  # of a drop, for one of its owner's contacts
ROUND_SECONDS_MAX = 30 * MINUTE  # one round of attempts for one parcel
TICKET_LETTERS_MAX = 2_000
QUARANTINE_MAX = 1_000  # notes of one kind; the oldest go
OPEN_COMPARTMENT_LETTERS_MAX = 100
OPEN_COMPARTMENT_BYTES_MAX = 10 * MIB
OPEN_LETTER_BYTES_MAX = 64 * KIB
TOMBSTONE_SECONDS = 7 * DAY  # kept this long after the letter's expiry

# Directory
DIRECTORY_NEIGHBOURS = 16  # Kademlia's k: who keeps a record, and how many contacts an answer names
DIRECTORY_AT_ONCE = 3  # Kademlia's alpha: questions of one lookup under way
DIRECTORY_SLOT_SECONDS = 0.5  # then a silent node's place goes to the next; it is still listened to
DIRECTORY_ANSWER_SECONDS_MAX = 3.0
DIRECTORY_LOOKUP_SECONDS_MAX = 20.0
DIRECTORY_LATE_SECONDS = 2.0  # a publication waits so long for those who are slow
DIRECTORY_ASKED_MAX = 80  # nodes in one lookup
DIRECTORY_WITNESSES = 3  # whose records are compared before one is believed to be the newest
DIRECTORY_STORED_MIN = 8  # nodes that must say yes before our record counts as published
DIRECTORY_RECORDS_MAX = 1024  # kept for others
DIRECTORY_PEERS_KEPT = 64  # good ones, written down to begin with after a start
DIRECTORY_PUBLISH_SECONDS = 1 * DAY  # our own record, though it did not change
DIRECTORY_REPLICATE_SECONDS = 6 * HOUR  # what we keep, unless somebody else did in between
DIRECTORY_REFRESH_SECONDS = 6 * HOUR  # one lookup to keep the table alive
DIRECTORY_JOIN_SECONDS_FIRST = 30.0  # between tries while nobody answers
DIRECTORY_JOIN_SECONDS_MAX = 1 * HOUR
DIRECTORY_LOOKS_MAX = 4  # for one person whose record fails, as the letter is tried; then
DIRECTORY_LOOKS_PER_SECOND = 1 / (30 * MINUTE)
DIRECTORY_QUESTIONS_MAX = 100  # of one peer at once, and then
DIRECTORY_QUESTIONS_PER_SECOND = 5.0
DIRECTORY_STORES_MAX = 50
DIRECTORY_STORES_PER_SECOND = 1.0
# Holders: how much for whom, how long a silent one is waited for, what they pass on (ADR 7)
VOUCHED_DROP_BYTES_MAX = 20 * MIB  # for a contact's contact who is vouched for
VOUCHED_DROP_LETTERS_MAX = 2_000
VOUCHED_RENTERS_MAX = 32  # at one node
VOUCHED_RENTERS_PER_CONTACT_MAX = 8  # at one node, through one contact
VOUCHERS_MAX = 16  # given in one answer
VOUCHER_SECONDS = 30 * DAY
VOUCHERS_ASKED_SECONDS = 1 * DAY  # between two askings of one contact
LARGE_LETTER_BYTES = 1 * MIB  # letters above this
LARGE_LETTER_HOLDERS = 5  # go to so many holders
SIBLING_BYTES_MAX = SEALED_BYTES_MAX  # of a drop, for what one other holder passed on
SIBLING_LETTERS_MAX = 1_000
SYNC_LISTING_MAX = 300
SIBLINGS_SECONDS = 15 * MINUTE  # a letter lies so long before the other holders are told
SILENT_SECONDS_MAX = 3 * DAY  # of our own time on the network, until a holder is replaced
SWAP_SECONDS = 1 * DAY  # between two changes of a holder for a better one
MY_DROPS_MAX = 64  # those included that we left, and look into until their letters have expired
HOURS_HALF_LIFE_SECONDS = 14 * DAY  # what was seen of a node's hours fades

# Strangers (ADR 11)
REQUESTS_MAX = 100  # that wait for the owner's answer
REQUEST_TEXT_BYTES_MAX = 4 * KIB  # of the letter's text
REQUEST_SECONDS = 14 * DAY  # then an unanswered one goes
REQUESTS_REMEMBERED_MAX = 1_000  # answered ones too: a program may bring one back
REQUESTS_PER_STRANGER_A_DAY = 3
REQUESTS_PER_SUBNET_A_DAY = 20
REQUESTS_AT_ONCE = 30  # from all strangers together, before any is opened, and then
REQUESTS_PER_SECOND = 1 / MINUTE
REQUEST_COPIES_MAX = RECIPIENTS_MAX  # of one letter that are answered: the newest
REQUEST_LATER_SECONDS = 6 * HOUR  # until one that found no place is fetched again
CONTACT_LETTERS_AT_ONCE = 500  # brought by one contact: what a day may bring, and then
CONTACT_LETTERS_PER_SECOND = 60 / HOUR
LOOK_UP_SECONDS_MAX = 5.0  # for an unknown address, while a mail program waits at RCPT
STRANGER_LOOKS_MIN = 3  # in vain, over at least
STRANGER_LOOK_SECONDS_MIN = 1 * HOUR  # until an address counts as nobody's
STRANGERS_REMEMBERED_MAX = 200  # to whom we wrote
STRANGER_RECORD_SECONDS = 1 * DAY  # a record of theirs is good for so long without a look
STAMP_BITS = 16  # of work on a stranger's letter: some 65,000 hashes, a twentieth of a second
STAMP_BITS_MAX = 22  # more than that we do for nobody
STAMP_TRIES_AT_ONCE = 4_000  # some milliseconds

# The clock (promise M12, ADR 10)
CLOCK_DRIFT_SECONDS = 10 * MINUTE  # more than this between two clocks is a wrong one
CLOCK_VOICES = 3  # people whose nodes have to agree, or to disagree, with our clock
CLOCK_VOICE_SECONDS = 1 * DAY  # what a peer said of the time counts for so long
CLOCK_UPTIME_SECONDS = 1 * DAY  # a clock that nobody doubts and that did not step in this is good
CLOCK_RUN_SECONDS = 1 * HOUR  # so much of it since this computer was started
CLOCK_GAP_SECONDS_MAX = 3 * DAY  # off for longer, and the day begins anew

# Sending
SENDING_MAX = 16  # parcels in hand at once
RETRY_SECONDS_FIRST = 5.0
RETRY_SECONDS_MAX = 4 * MINUTE  # after a network heals, all queued mail moves within 5 minutes
HELD_SECONDS_FIRST = 1 * MINUTE  # between looks for a receipt while holders keep the letter
HELD_SECONDS_MAX = 1 * HOUR
DIRECT_HEAD_START_SECONDS = 1.0  # the recipient alone, before its drops are tried too
DIRECT_HEAD_START_LARGE_SECONDS = 5.0  # the same for letters above 1 MiB
SEEN_LATELY_SECONDS = 10 * MINUTE
COLLECT_SECONDS = 5 * MINUTE  # between looks into a drop whose holder may have no way to tell us
COLLECT_TOLD_SECONDS = 1 * HOUR  # the same when the holder has shown that it reaches us,
REACHED_SECONDS = 3 * HOUR  # and for so long it counts as shown
# A holder tells for longer than the owner's next look can be away (which is spread by a quarter).
TELL_SECONDS = 1.5 * COLLECT_TOLD_SECONDS

# Helpers
HELPERS_MAX = 8  # of one person
HELPED_MAX = 200  # people whom one helper serves
HELPER_NAME_BYTES_MAX = 63  # the longest name of a host (RFC 1035 section 2.3.4)

# Bundles
BUNDLE_ITEMS_MAX = 10_000
BUNDLE_RECEIPTS_MAX = 5_000
BUNDLE_LETTERS_MAX = 2_000
BUNDLE_PIECE_BYTES = 256 * KIB  # of a file, between the command line and the node

# Audit log
AUDIT_ENTRIES_MAX = 20_000  # then the oldest are forgotten, in an entry of their own
AUDIT_ENTRIES_KEPT = 18_000
AUDIT_OUTSIDE_PER_DAY = 50  # of one event that anybody can cause
AUDIT_WEAK_KEY_SECONDS = 1 * HOUR  # before the same weak key is noted again

# Statistics
STATISTICS_DAYS = 90  # for which is remembered what became of letters
STATISTICS_ROWS_MAX = 100_000  # of parcels that the queue has forgotten; the oldest go
STATISTICS_SLICE = 2_000  # parcels that are read at once: some milliseconds

# Backups
BACKUP_DAYS_MAX = 30  # then status says that the last one is old

# Keys at rest (ADR 13): what a passphrase costs to try, and what a file may ask for
ARGON2_MEMORY_KIB = 64 * 1024
ARGON2_MEMORY_KIB_MAX = 128 * 1024
ARGON2_PASSES = 3
ARGON2_PASSES_MAX = 16
ARGON2_LANES = 4
ARGON2_LANES_MAX = 16
PASSPHRASE_CHARACTERS_MIN = 8
PASSPHRASE_BYTES_MAX = 1024
WRONG_PASSPHRASE_SECONDS_FIRST = 1.0  # before the answer to a wrong one; then twice as long, up to
WRONG_PASSPHRASE_SECONDS_MAX = 30.0

# Doors
DOOR_CONNECTIONS_MAX = 16
DOOR_IDLE_SECONDS = 30 * MINUTE  # RFC 9051 section 5.4: at least 30 minutes
SMTP_IDLE_SECONDS = 5 * MINUTE  # RFC 5321 section 4.5.3.2.7
LOGIN_FAILURES_MAX = 5  # then the connection is closed
LOGIN_FAILURE_SECONDS = 1.0  # wait before the answer to a wrong password
IMAP_LINE_BYTES_MAX = 64 * KIB
IMAP_LITERAL_BYTES_BEFORE_LOGIN_MAX = 8 * KIB
CONTROL_LINE_BYTES_MAX = 64 * KIB
PAUSE_SECONDS_MAX = 365 * DAY
CONTROL_SECONDS_MAX = 60.0  # the node works on one request; whoever asked waits a little longer
BUS_WORDS_MAX = 500  # characters of a name or a sentence that goes over the session bus
DOOR_LOGIN_SECONDS = 60  # of silence before logging in
DOOR_STALLED_SECONDS = 5 * MINUTE  # for a client that does not take what it asked for
IMAP_INPUT_BYTES_MAX = 256 * KIB  # waiting in memory before the socket is left unread
POP3_IDLE_SECONDS = 10 * MINUTE  # RFC 1939 section 3: at least 10 minutes
POP3_LINE_BYTES_MAX = 255  # RFC 2449 section 4, its line end included
POP3_SASL_BYTES_MAX = 12 * KIB  # RFC 4954 section 4

# The relay (peers/relay.py)
# One letter of the greatest size passes in half a minute, and a home line of 10 Mbit/s upwards has
# room left for its owner. Owners of more say so (relay_kilobytes_per_second).
RELAY_BYTES_PER_SECOND = 1_000_000
RELAY_BURST_SECONDS = 4.0  # so much may pass at once: an ordinary letter waits for nothing
RELAY_GUESTS_SHARE = 0.25  # of it at most for all guests together, so that clients come first
RELAY_CLIENTS_MAX = 256
RELAY_GUESTS_MAX = 64
RELAY_GUESTS_PER_SUBNET_MAX = 16
RELAY_UNPROVEN_MAX = 64  # connections that have shown no key yet; the oldest gives way
RELAY_UNPROVEN_PER_SUBNET_MAX = 16
RELAY_HANDSHAKE_SECONDS_MAX = 10.0
RELAY_ARRIVALS_PER_SECOND = 20.0  # from one subnet: each new key costs a signature and a look-up
RELAY_ARRIVALS_BURST = 100.0
# What waits in memory for one slow reader; 256 clients and 64 guests could take 80 MiB.
RELAY_BACKLOG_BYTES_MAX = 256 * KIB
RELAY_GUEST_IDLE_SECONDS = 90.0  # iroh's own clients leave a foreign relay after 60

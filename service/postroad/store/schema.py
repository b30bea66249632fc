"""The tables, as numbered migrations: a killed upgrade restarts whole.

Purpose: what the node remembers, and the constraints that must never be broken.
Invariants: each migration is one transaction; one that was ever released is never edited, a new
one is appended.
`PRAGMA user_version` holds the number of migrations applied.

Moments are REAL seconds UTC. Octets above 64 KiB live in files of the data folder, named by their
SHA-256, and the row says so; a row is written only after its file is durable.
Long, because one migration is one text: what refers to what is seen side by side.
"""

# Tables that have a text of their own are part of the first migration: once that is released, a
# migration that changes one leaves its text alone, and what is made anew gets another.

# The audit log: an entry as the line that is hashed (protocol/audit.py). Also made anew beside a
# damaged one.
AUDIT_TABLE = """
    CREATE TABLE audit (
        number INTEGER PRIMARY KEY CHECK (number >= 1),
        line   BLOB NOT NULL CHECK (length(line) <= 16384),
        hash   BLOB NOT NULL CHECK (length(hash) = 32)
    ) STRICT
"""

# What became of parcels that the queue has forgotten. Also made anew beside a damaged one. Without
# an index: a look at all of it reads every page, and finds damage before anything is added to it.
STATISTICS_TABLE = """
    CREATE TABLE statistics (
        id          INTEGER PRIMARY KEY,
        accepted_at REAL NOT NULL,
        fingerprint TEXT NOT NULL,
        state       TEXT NOT NULL,
        held_at     REAL,
        receipt_at  REAL,
        late        INTEGER NOT NULL,
        failed_by   BLOB NOT NULL
    ) STRICT
"""

# Letters that came in and that the memory of what was filed has forgotten: by days since 1970 (UTC)
# and by what became of them. Also made anew beside a damaged one.
INCOMING_TABLE = """
    CREATE TABLE incoming (
        day    INTEGER NOT NULL,
        what   TEXT NOT NULL CHECK (what IN ('contacts', 'strangers', 'refused')),
        number INTEGER NOT NULL,
        PRIMARY KEY (day, what)
    ) STRICT, WITHOUT ROWID
"""

MIGRATIONS: tuple[str, ...] = (
    f"""
    -- Octets of letters: in the row (octets) or in a file named by the hash (octets IS NULL).
    CREATE TABLE content (
        id     INTEGER PRIMARY KEY AUTOINCREMENT,
        sha256 BLOB NOT NULL UNIQUE CHECK (length(sha256) = 32),
        size   INTEGER NOT NULL CHECK (size >= 0),
        octets BLOB CHECK (octets IS NULL OR length(octets) = size)
    ) STRICT;

    -- What could not be read or believed: shown to the owner, never deleted by us.
    CREATE TABLE quarantine (
        id     INTEGER PRIMARY KEY,
        kind   TEXT NOT NULL,
        name   TEXT NOT NULL,
        reason TEXT NOT NULL,
        at     REAL NOT NULL,
        UNIQUE (kind, name)
    ) STRICT;

    -- OUTGOING ------------------------------------------------------------------------------
    CREATE TABLE letter (
        id          INTEGER PRIMARY KEY AUTOINCREMENT,
        nonce       BLOB NOT NULL UNIQUE CHECK (length(nonce) = 16),
        kind        INTEGER NOT NULL,
        content_id  INTEGER NOT NULL REFERENCES content (id),
        accepted_at REAL NOT NULL,
        expires_at  REAL NOT NULL,
        visible     TEXT NOT NULL,           -- JSON list of the addresses in To and Cc
        envelope_id TEXT,                    -- RFC 3461 ENVID
        return_full INTEGER NOT NULL DEFAULT 0,
        introduction BLOB,                   -- the introduction that a letter of that kind carries
        proposal    BLOB                     -- the same of a proposal
    ) STRICT;

    CREATE TABLE parcel (
        id         INTEGER PRIMARY KEY AUTOINCREMENT,
        letter_id  INTEGER NOT NULL REFERENCES letter (id),
        recipient  TEXT NOT NULL,            -- the address in its normal form
        fingerprint TEXT NOT NULL,
        blind      INTEGER NOT NULL,
        original_recipient TEXT,             -- RFC 3461 ORCPT
        notify     INTEGER NOT NULL,         -- bits of message.envelope.Notify
        state      TEXT NOT NULL CHECK (state IN
                       ('waiting', 'held', 'delivered', 'requested', 'refused', 'expired',
                        'cancelled')),
        reason     TEXT NOT NULL DEFAULT '',
        due_at     REAL NOT NULL,
        tries      INTEGER NOT NULL DEFAULT 0,
        delayed_at REAL,                     -- when the delayed notice was filed
        ended_at   REAL,
        mail_id    BLOB CHECK (length(mail_id) = 32),
        content_key BLOB CHECK (length(content_key) = 32),
        header_hash BLOB CHECK (length(header_hash) = 32), -- which the receipt names
        sealed_for INTEGER,                  -- sequence of the record that it was sealed for
        epoch_key  BLOB CHECK (length(epoch_key) = 16), -- to which
        receipt    BLOB,
        held_at    REAL,                     -- when a holder first had it
        receipt_at REAL,                     -- when its recipient first answered
        failed_by  BLOB NOT NULL DEFAULT x'', -- holders that failed it, 8 octets of each
        CHECK ((state IN ('waiting', 'held')) = (ended_at IS NULL)),
        CHECK ((mail_id IS NULL) = (content_key IS NULL)),
        UNIQUE (letter_id, recipient)
    ) STRICT;
    CREATE INDEX parcel_due ON parcel (due_at) WHERE state IN ('waiting', 'held');
    CREATE INDEX parcel_requested ON parcel (id) WHERE state = 'requested';
    CREATE INDEX parcel_mail ON parcel (mail_id) WHERE mail_id IS NOT NULL;

    CREATE TABLE lease (
        parcel_id INTEGER NOT NULL REFERENCES parcel (id) ON DELETE CASCADE,
        drop_id   BLOB NOT NULL CHECK (length(drop_id) = 16),
        holder    BLOB NOT NULL CHECK (length(holder) = 32),
        mail_id   BLOB NOT NULL CHECK (length(mail_id) = 32),
        until     REAL NOT NULL,
        signed    BLOB NOT NULL,
        PRIMARY KEY (parcel_id, drop_id)
    ) STRICT, WITHOUT ROWID;

    -- Parcels whose sealed letter was also written into a file, for somebody to carry.
    CREATE TABLE bundled (
        parcel_id INTEGER PRIMARY KEY REFERENCES parcel (id) ON DELETE CASCADE,
        at        REAL NOT NULL
    ) STRICT;

    -- SEALED LETTERS: ours on the way out, and other people's that we hold ---------------------
    CREATE TABLE sealed (
        mail_id BLOB PRIMARY KEY CHECK (length(mail_id) = 32),
        size    INTEGER NOT NULL,
        octets  BLOB CHECK (octets IS NULL OR length(octets) = size)
    ) STRICT, WITHOUT ROWID;

    -- PEOPLE ------------------------------------------------------------------------------------
    CREATE TABLE contact (
        fingerprint TEXT PRIMARY KEY,
        address     TEXT NOT NULL,
        name        TEXT NOT NULL DEFAULT '',
        record      BLOB NOT NULL,           -- the newest verified person record
        sequence    INTEGER NOT NULL,
        learnt_at   REAL NOT NULL,           -- when the record was last found to be the newest
        since       REAL NOT NULL,
        my_ticket   BLOB CHECK (length(my_ticket) = 16),     -- what we deposit in their drops with
        their_ticket BLOB CHECK (length(their_ticket) = 16), -- what they deposit in ours with
        seen_at     REAL,                    -- when a device of theirs last proved itself to us
        told        INTEGER NOT NULL DEFAULT 0, -- sequence of our record that they have
        blocked     INTEGER NOT NULL DEFAULT 0,
        outside     INTEGER NOT NULL DEFAULT 0, -- of the circle that the policy draws
        verified_at REAL                     -- when the owner found the safety number to be theirs
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE device (
        peer        BLOB PRIMARY KEY CHECK (length(peer) = 32),
        fingerprint TEXT NOT NULL REFERENCES contact (fingerprint) ON DELETE CASCADE
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE invitation (
        secret_hash BLOB PRIMARY KEY CHECK (length(secret_hash) = 32),
        ticket      BLOB NOT NULL CHECK (length(ticket) = 16),
        created_at  REAL NOT NULL,
        expires_at  REAL NOT NULL,
        used_by     TEXT,
        used_at     REAL,
        withdrawn_at REAL,                   -- by its maker; or its user was removed since
        name        TEXT NOT NULL DEFAULT '' -- for whom it is, in the owner's words
    ) STRICT, WITHOUT ROWID;

    -- Introductions that a contact proposes: somebody whom they know, and the owner, to each other.
    CREATE TABLE proposal (
        introducer TEXT NOT NULL,
        other      TEXT NOT NULL,            -- who is proposed
        record     BLOB NOT NULL,            -- theirs, verified
        word       BLOB NOT NULL,            -- what the introducer signed
        first_ticket BLOB NOT NULL CHECK (length(first_ticket) = 16), -- for their introduction
        came_at    REAL NOT NULL,
        expires_at REAL NOT NULL,
        ticket     BLOB CHECK (length(ticket) = 16), -- what they will deposit in our drops with
        state      TEXT NOT NULL
                   CHECK (state IN ('open', 'accepted', 'declined', 'refused', 'met')),
        PRIMARY KEY (introducer, other)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX proposal_other ON proposal (other);

    -- Drops that we rent from our holders.
    CREATE TABLE my_drop (
        drop_id    BLOB PRIMARY KEY CHECK (length(drop_id) = 16),
        seed       BLOB NOT NULL CHECK (length(seed) = 32),
        holder     BLOB NOT NULL UNIQUE CHECK (length(holder) = 32),
        fingerprint TEXT NOT NULL,           -- whose node holds, or who introduced it; '': nobody's
        agreed     INTEGER NOT NULL,         -- the holder said yes
        tickets    BLOB NOT NULL DEFAULT x'', -- SHA-256 of the ticket list that the holder has
        place      BLOB,                     -- of a vouched holder or a helper; NULL: by its record
        voucher    BLOB,                     -- what it was shown last
        told       INTEGER NOT NULL DEFAULT 0, -- sequence of our record that a vouched one has
        left_at    REAL,                     -- not in our record since then, but still looked into
        emptied_at REAL,                     -- when all that lay in it was last taken
        silent_seconds REAL NOT NULL DEFAULT 0, -- of our time on the network, since it was seen
        refusal    TEXT NOT NULL DEFAULT '', -- what it said last when we asked for the drop
        unwanted   INTEGER NOT NULL DEFAULT 0 -- the person behind it was blocked or removed
    ) STRICT, WITHOUT ROWID;

    -- Helpers that serve us: their contact is their own word, and told the sequence of our record
    -- that they have.
    CREATE TABLE helper (
        peer       BLOB PRIMARY KEY CHECK (length(peer) = 32),
        contact    BLOB NOT NULL,
        name       TEXT NOT NULL,
        told       INTEGER NOT NULL,
        since      REAL NOT NULL,
        seen_at    REAL,
        refusal    TEXT NOT NULL DEFAULT ''
    ) STRICT, WITHOUT ROWID;

    -- Drops that others rent from us.
    CREATE TABLE held_drop (
        drop_id     BLOB PRIMARY KEY CHECK (length(drop_id) = 16),
        key         BLOB NOT NULL CHECK (length(key) = 32),
        fingerprint TEXT NOT NULL,
        since       REAL NOT NULL,
        device      BLOB,                    -- that rented it
        voucher     TEXT,                    -- the contact who vouches; NULL: its own contact
        vouched_until REAL,
        arrivals    INTEGER NOT NULL DEFAULT 0, -- the last arrival number that was given out
        seen_at     REAL                     -- when a vouched renter's device last proved itself
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE held_ticket (
        drop_id BLOB NOT NULL REFERENCES held_drop (drop_id) ON DELETE CASCADE,
        hash    BLOB NOT NULL CHECK (length(hash) = 32),
        PRIMARY KEY (drop_id, hash)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE held_letter (
        drop_id    BLOB NOT NULL REFERENCES held_drop (drop_id) ON DELETE CASCADE,
        mail_id    BLOB NOT NULL CHECK (length(mail_id) = 32),
        arrival    INTEGER NOT NULL,         -- order of arrival within the drop
        ticket_hash BLOB,                    -- NULL: the open compartment
        size       INTEGER NOT NULL,
        expires_at REAL NOT NULL,
        tombstone  BLOB,                     -- the sealed receipt that replaced the letter
        reseal     BLOB,                     -- the owner has no key for it, and says so
        burial     BLOB,                     -- the owner's signature over it, to be passed on
        sibling    BLOB,                     -- the holder who passed it on; NULL: its sender
        PRIMARY KEY (drop_id, mail_id)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX held_letter_mail ON held_letter (mail_id);
    CREATE INDEX held_letter_expiry ON held_letter (expires_at);
    CREATE INDEX held_letter_arrival ON held_letter (drop_id, arrival);

    -- For whom our contacts hold and when they are on, as they say; and what we last told them.
    CREATE TABLE holding (
        fingerprint TEXT PRIMARY KEY REFERENCES contact (fingerprint) ON DELETE CASCADE,
        said        BLOB,
        told        BLOB
    ) STRICT, WITHOUT ROWID;

    -- When nodes were found on and off, by the hour of the day; old observations fade.
    CREATE TABLE node_hour (
        peer BLOB NOT NULL CHECK (length(peer) = 32),
        hour INTEGER NOT NULL CHECK (hour BETWEEN 0 AND 23),
        seen REAL NOT NULL,
        missed REAL NOT NULL,
        at   REAL NOT NULL,
        PRIMARY KEY (peer, hour)
    ) STRICT, WITHOUT ROWID;

    -- Newest records of people, ours included: served to whoever asks by fingerprint.
    CREATE TABLE record (
        fingerprint TEXT PRIMARY KEY,
        sequence    INTEGER NOT NULL,
        octets      BLOB NOT NULL
    ) STRICT, WITHOUT ROWID;

    -- DEVICES AND CHANGE: revocations and rotations that we obey and publish again; the newest of
    -- each kind, of contacts, of those who rent here, of ourselves, and of whom the owner said so.
    CREATE TABLE change (
        fingerprint TEXT NOT NULL,
        kind        INTEGER NOT NULL,
        sequence    INTEGER NOT NULL,
        octets      BLOB NOT NULL CHECK (length(octets) <= 12288),
        learnt_at   REAL NOT NULL,
        rented      INTEGER NOT NULL,        -- whether they rented here when we heard of it
        PRIMARY KEY (fingerprint, kind)
    ) STRICT, WITHOUT ROWID;

    -- Devices that do not speak for that identity any more; x'': none does. A row never goes. Those
    -- that we had seen speak for it (barred) are not spoken with at all.
    CREATE TABLE revoked (
        fingerprint TEXT NOT NULL,
        peer        BLOB NOT NULL CHECK (length(peer) IN (0, 32)),
        barred      INTEGER NOT NULL,
        PRIMARY KEY (fingerprint, peer)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX revoked_barred ON revoked (peer) WHERE barred;  -- looked at after each commit

    -- Who contacts were before they rotated, and who they are.
    CREATE TABLE former (
        fingerprint TEXT PRIMARY KEY,
        address     TEXT NOT NULL,
        heir        TEXT NOT NULL REFERENCES contact (fingerprint) ON DELETE CASCADE
                    DEFERRABLE INITIALLY DEFERRED,
        at          REAL NOT NULL
    ) STRICT, WITHOUT ROWID;

    -- Other heirs that an identity named after the first.
    CREATE TABLE fork (
        fingerprint TEXT NOT NULL,
        heir        TEXT NOT NULL,
        at          REAL NOT NULL,
        PRIMARY KEY (fingerprint, heir)
    ) STRICT, WITHOUT ROWID;

    -- Records of ourselves that other devices of ours signed: the last of each.
    CREATE TABLE own_device (
        peer    BLOB PRIMARY KEY CHECK (length(peer) = 32),
        octets  BLOB NOT NULL,
        seen_at REAL NOT NULL
    ) STRICT, WITHOUT ROWID;

    -- Which of our own changes which node has.
    CREATE TABLE change_told (
        peer        BLOB NOT NULL CHECK (length(peer) = 32),
        fingerprint TEXT NOT NULL,
        kind        INTEGER NOT NULL,
        sequence    INTEGER NOT NULL,
        PRIMARY KEY (peer, fingerprint, kind)
    ) STRICT, WITHOUT ROWID;

    -- When the directory was last asked for changes of somebody.
    CREATE TABLE change_look (
        fingerprint TEXT PRIMARY KEY,
        looked_at   REAL NOT NULL
    ) STRICT, WITHOUT ROWID;

    -- DIRECTORY: records kept for anybody, each at the hash of its kind and identity; and the peers
    -- that answered last, with whom the node begins after a start.
    CREATE TABLE directory_record (
        key        BLOB PRIMARY KEY CHECK (length(key) = 20),
        kind       INTEGER NOT NULL,
        sequence   INTEGER NOT NULL,
        expires_at REAL NOT NULL,
        octets     BLOB NOT NULL CHECK (length(octets) <= 12288)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE directory_peer (
        place   INTEGER PRIMARY KEY CHECK (place >= 0),
        contact BLOB NOT NULL
    ) STRICT;

    -- FILED: replay memory and the receipt to answer with again ----------------------------------
    CREATE TABLE filed (
        fingerprint TEXT NOT NULL,           -- the sender's identity
        nonce       BLOB NOT NULL CHECK (length(nonce) = 16),
        verdict     INTEGER NOT NULL,
        digest      BLOB NOT NULL CHECK (length(digest) = 32), -- SHA-256 of its body
        at          REAL NOT NULL,
        expires_at  REAL NOT NULL,
        PRIMARY KEY (fingerprint, nonce)
    ) STRICT, WITHOUT ROWID;

    -- Receipts that we gave, also those whose sender was told: whoever asks again, or still keeps
    -- the letter for us, gets the same one. In the order in which they were given.
    CREATE TABLE receipt_due (
        mail_id     BLOB NOT NULL PRIMARY KEY CHECK (length(mail_id) = 32),
        fingerprint TEXT NOT NULL,           -- the sender
        device      BLOB NOT NULL CHECK (length(device) = 32),
        sealed      BLOB NOT NULL,
        expires_at  REAL NOT NULL,
        told_sender INTEGER NOT NULL DEFAULT 0,
        due_at      REAL NOT NULL,
        tries       INTEGER NOT NULL DEFAULT 0
    ) STRICT;

    -- STRANGERS ---------------------------------------------------------------------------------
    -- To whom the owner writes without being contacts: what the directory shows of them, and the
    -- ticket that a request takes along for their answer.
    CREATE TABLE stranger (
        fingerprint TEXT PRIMARY KEY,
        record      BLOB,                    -- the newest verified one; NULL: none was found yet
        sequence    INTEGER NOT NULL DEFAULT -1,
        learnt_at   REAL NOT NULL,           -- when it was found last, or first looked for in vain
        ticket      BLOB NOT NULL CHECK (length(ticket) = 16),
        is_written_to INTEGER NOT NULL DEFAULT 0, -- a letter went off: they may have the ticket
        looks       INTEGER NOT NULL DEFAULT 0  -- in vain, since learnt_at
    ) STRICT, WITHOUT ROWID;

    -- Letters of strangers to the owner, one row for each that was ever in Requests; the oldest of
    -- the answered ones go.
    CREATE TABLE request (
        id          BLOB PRIMARY KEY CHECK (length(id) = 16), -- which its result field says
        mail_id     BLOB NOT NULL UNIQUE CHECK (length(mail_id) = 32),
        fingerprint TEXT NOT NULL,
        address     TEXT NOT NULL,
        device      BLOB NOT NULL CHECK (length(device) = 32),
        recipient   TEXT NOT NULL,           -- who we were when it came
        nonce       BLOB NOT NULL CHECK (length(nonce) = 16),
        header_hash BLOB NOT NULL CHECK (length(header_hash) = 32),
        content_key BLOB NOT NULL CHECK (length(content_key) = 32), -- for a second receipt
        record      BLOB,                    -- of its sender, verified; NULL: it brought none
        ticket      BLOB CHECK (length(ticket) = 16), -- what we deposit in their drops with
        subject     TEXT NOT NULL,
        content_id  INTEGER NOT NULL,        -- by which its copies are known
        uid         INTEGER NOT NULL,        -- in Requests
        at          REAL NOT NULL,
        expires_at  REAL NOT NULL,           -- of the letter
        state       TEXT NOT NULL CHECK (state IN ('waiting', 'accepted', 'refused', 'ignored')),
        is_answered INTEGER NOT NULL DEFAULT 0 -- what the owner decided was done, and is told
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX request_state ON request (state, at);
    CREATE INDEX request_sender ON request (fingerprint, at);
    CREATE INDEX request_content ON request (content_id);

    -- Other parcels of the same letter: to another address of ours, or sealed anew. Each has a
    -- receipt of its own, so each is answered.
    CREATE TABLE request_copy (
        mail_id     BLOB PRIMARY KEY CHECK (length(mail_id) = 32),
        request_id  BLOB NOT NULL REFERENCES request (id) ON DELETE CASCADE,
        number      INTEGER NOT NULL,        -- in the order in which they came
        device      BLOB NOT NULL CHECK (length(device) = 32),
        recipient   TEXT NOT NULL,
        header_hash BLOB NOT NULL CHECK (length(header_hash) = 32),
        content_key BLOB NOT NULL CHECK (length(content_key) = 32)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX request_copy_of ON request_copy (request_id, number);

    -- MAILBOXES (RFC 9051, RFC 7162) ------------------------------------------------------------
    CREATE TABLE mailbox (
        id            INTEGER PRIMARY KEY AUTOINCREMENT,
        name          TEXT NOT NULL UNIQUE,
        special_use   TEXT,
        uid_validity  INTEGER NOT NULL UNIQUE,
        uid_next      INTEGER NOT NULL DEFAULT 1 CHECK (uid_next >= 1),
        recent_from   INTEGER NOT NULL DEFAULT 1,  -- UIDs from here on no session was told of
        highest_modseq INTEGER NOT NULL DEFAULT 1 CHECK (highest_modseq >= 1),
        subscribed    INTEGER NOT NULL DEFAULT 1
    ) STRICT;

    -- Short rows: a mailbox is opened by reading all of its own.
    CREATE TABLE message (
        mailbox_id    INTEGER NOT NULL REFERENCES mailbox (id) ON DELETE CASCADE,
        uid           INTEGER NOT NULL CHECK (uid >= 1),
        modseq        INTEGER NOT NULL,
        flags         INTEGER NOT NULL DEFAULT 0,  -- bits of store.mailboxes.Flag
        keywords      TEXT NOT NULL DEFAULT '',    -- sorted, separated by one space
        internal_date REAL NOT NULL,
        content_id    INTEGER NOT NULL REFERENCES content (id),
        size          INTEGER NOT NULL,
        PRIMARY KEY (mailbox_id, uid)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX message_content ON message (content_id);
    CREATE INDEX message_modseq ON message (mailbox_id, modseq);

    -- What is sent of a letter, made once at intake and shared by its copies. Each blob ends with
    -- the CRC-32 of the rest; one that is damaged is made again from the octets.
    CREATE TABLE rendering (
        content_id    INTEGER PRIMARY KEY REFERENCES content (id) ON DELETE CASCADE,
        header_size   INTEGER NOT NULL,            -- octets up to and with the empty line
        envelope      BLOB NOT NULL,
        body          BLOB NOT NULL,
        body_structure BLOB NOT NULL,
        header        BLOB NOT NULL                -- the header block, as far as it is kept
    ) STRICT;

    CREATE TABLE expunged (
        mailbox_id INTEGER NOT NULL REFERENCES mailbox (id) ON DELETE CASCADE,
        uid        INTEGER NOT NULL,
        modseq     INTEGER NOT NULL,
        PRIMARY KEY (mailbox_id, uid)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX expunged_modseq ON expunged (mailbox_id, modseq);

    -- In place of these letters POP3 gave out a note, since they could not be read then. Until one
    -- of them is given out whole, no POP3 program removes it (store.maildrop).
    CREATE TABLE told_damaged (
        mailbox_id     INTEGER NOT NULL,
        uid            INTEGER NOT NULL,
        shown_again_at REAL NOT NULL DEFAULT 0,    -- left out by POP3 before: it was deleted there
        PRIMARY KEY (mailbox_id, uid),
        FOREIGN KEY (mailbox_id, uid) REFERENCES message (mailbox_id, uid) ON DELETE CASCADE
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE value (
        name  TEXT PRIMARY KEY,
        octets BLOB NOT NULL
    ) STRICT, WITHOUT ROWID;

    -- STATISTICS ----------------------------------------------------------------------------------
    {STATISTICS_TABLE};
    {INCOMING_TABLE};

    -- AUDIT -------------------------------------------------------------------------------------
    {AUDIT_TABLE};

    -- How often what anybody can cause was noted, since when.
    CREATE TABLE audit_outside (
        event TEXT PRIMARY KEY,
        since REAL NOT NULL,
        count INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    """,
)

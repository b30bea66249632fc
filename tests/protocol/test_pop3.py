"""The POP3 core: every command in every state, octets one at a time, letters as they are."""

import base64
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroad.protocol import pop3 as p
from protocol.pop3_world import GREETING, LETTERS, LOGIN, World, answers, talk

WELCOME = [b"+OK Now the password.", b"+OK Welcome: 3 letters, 28 octets."]
LOG_IN_FIRST = b"-ERR Log in first."
LOGGED_IN = b"-ERR You are logged in already."
NO_LETTER = b"-ERR There is no letter of that number."
COMMANDS = {  # before and after logging in
    b"NOOP": (LOG_IN_FIRST, b"+OK"),
    b"noop": (LOG_IN_FIRST, b"+OK"),
    b"STAT": (LOG_IN_FIRST, b"+OK 3 28"),
    b"LIST": (LOG_IN_FIRST, b"+OK 3 letters"),
    b"LIST 2": (LOG_IN_FIRST, b"+OK 2 8"),
    b"LIST 0": (LOG_IN_FIRST, NO_LETTER),
    b"UIDL 3": (LOG_IN_FIRST, b"+OK 3 7.9"),
    b"UIDL 4": (LOG_IN_FIRST, NO_LETTER),
    b"RETR 1": (LOG_IN_FIRST, b"+OK 20 octets"),
    b"RETR -1": (LOG_IN_FIRST, b"-ERR That is not a number that could be meant here."),
    b"RETR 9999999999": (LOG_IN_FIRST, b"-ERR That is not a number that could be meant here."),
    b"RETR": (LOG_IN_FIRST, b"-ERR That command takes 1 arguments."),
    b"TOP 1 0": (LOG_IN_FIRST, b"+OK 20 octets"),
    b"TOP 1": (LOG_IN_FIRST, b"-ERR That command takes 2 arguments."),
    b"DELE 1": (LOG_IN_FIRST, b"+OK It goes at QUIT."),
    b"RSET": (LOG_IN_FIRST, b"+OK Nothing goes at QUIT."),
    b"CAPA": (b"+OK This is what is spoken here.",) * 2,
    b"UTF8": (b"+OK Letters are sent as they are in any case.", LOGGED_IN),
    b"USER bora": (b"+OK Now the password.", LOGGED_IN),
    b"USER": (b"-ERR USER needs a name after it.", LOGGED_IN),
    b"PASS x": (b"-ERR First USER, then PASS.", LOGGED_IN),
    b"AUTH": (b"-ERR Only AUTH PLAIN is spoken here.", LOGGED_IN),
    b"AUTH CRAM-MD5": (b"-ERR Only AUTH PLAIN is spoken here.", LOGGED_IN),
    b"AUTH PLAIN *": (b"-ERR That is not base64.", LOGGED_IN),
    b"APOP anna c4c9334bac560ecc979e58001b3e22fb": (b"-ERR That command is not known here.",) * 2,
    b"STLS": (b"-ERR There is nothing to encrypt: this never leaves the computer.",) * 2,
    b"LAST": (b"-ERR That command is not known here.",) * 2,
    b"": (b"-ERR That command is not known here.",) * 2,
    b"\x00\xff": (b"-ERR That command is not known here.",) * 2,
    b"NOOP now": (LOG_IN_FIRST, b"-ERR That command takes 0 arguments."),
    b"QUIT now": (b"-ERR That command takes 0 arguments.",) * 2,
    b"QUIT": (b"+OK Goodbye.",) * 2,
}


@pytest.mark.parametrize("line", COMMANDS)
@pytest.mark.parametrize("logged_in", [False, True])
def test_every_command_in_every_state(line: bytes, logged_in: bool) -> None:
    before = LOGIN if logged_in else ()
    assert answers(*before, line)[len(before)] == COMMANDS[line][logged_in]


@pytest.mark.parametrize("line", COMMANDS)
def test_a_letter_marked_deleted_is_there_for_no_command_until_rset(line: bytes) -> None:
    said = answers(*LOGIN, b"DELE 1", line)[3:]
    number = line.split()[1:2]
    if number == [b"1"] and line != b"TOP 1":
        assert said == [b"-ERR You have deleted that one; RSET brings all of them back."]
    elif line == b"LIST":
        assert said == [b"+OK 2 letters", b"2 8", b"3 0", b"."]
    elif line == b"STAT":
        assert said == [b"+OK 2 8"]
    elif line == b"QUIT":
        assert said == [b"+OK 1 deleted. Goodbye."]
    else:
        assert said[0] == COMMANDS[line][1]


def test_what_is_spoken_here_is_listed() -> None:
    assert answers(b"CAPA")[1:] == [
        b"TOP", b"UIDL", b"USER", b"SASL PLAIN", b"RESP-CODES", b"AUTH-RESP-CODE", b"PIPELINING",
        b"UTF8 USER", b"EXPIRE NEVER", b"IMPLEMENTATION Postroad", b".",
    ]  # fmt: skip


def test_a_session_from_its_beginning_to_its_end() -> None:
    world = World()
    said = answers(*LOGIN, b"LIST", b"UIDL", b"RETR 1", b"DELE 1", b"DELE 3", b"QUIT", world=world)
    assert said == [
        *WELCOME,
        *(b"+OK 3 letters", b"1 20", b"2 8", b"3 0", b"."),
        *(b"+OK 3 letters", b"1 7.3", b"2 7.5", b"3 7.9", b"."),
        *(b"+OK 20 octets", b"A: 1", b"", b"yes", b"..", b"no", b"."),
        *(b"+OK It goes at QUIT.",) * 2,
        b"+OK 2 deleted. Goodbye.",
    ]
    assert world.removed == [(3, 9)]


def plain(words: bytes) -> bytes:
    return base64.b64encode(words)


@pytest.mark.parametrize("words", [b"\0anna\0se cret", b"anna\0anna\0se cret"])
def test_sasl_plain_with_and_without_an_initial_response(words: bytes) -> None:
    assert answers(b"AUTH PLAIN " + plain(words)) == WELCOME[1:]
    assert answers(b"AUTH plain", plain(words)) == [b"+ ", *WELCOME[1:]]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (plain(b"\0anna\0wrong"), p.WRONG),
        (plain(b"bora\0anna\0se cret"), p.WRONG),
        (plain(b"anna"), p.WRONG),
        (b"=", p.WRONG),
        (b"a", b"-ERR That is not base64."),
    ],
)
def test_what_is_no_right_answer_to_auth(given: bytes, said: bytes) -> None:
    assert answers(b"AUTH PLAIN " + given, b"NOOP") == [said, LOG_IN_FIRST]
    assert answers(b"AUTH PLAIN", given, b"NOOP") == [b"+ ", said, LOG_IN_FIRST]


def test_auth_may_be_given_up() -> None:
    assert answers(b"AUTH PLAIN", b"*", *LOGIN) == [b"+ ", b"-ERR Given up.", *WELCOME]


def test_a_wrong_password_says_so_and_user_comes_again() -> None:
    assert answers(b"USER anna", b"PASS wrong", b"PASS se cret") == [
        WELCOME[0], p.WRONG, b"-ERR First USER, then PASS.",
    ]  # fmt: skip
    assert answers(b"USER anna", b"NOOP", b"PASS se cret")[-1] == b"-ERR First USER, then PASS."


def test_nothing_is_removed_without_quit() -> None:
    world = World()
    answers(*LOGIN, b"DELE 1", b"DELE 2", world=world)
    answers(*LOGIN, b"DELE 1", b"RSET", b"QUIT", world=world)
    assert world.removed == []


def test_a_quit_that_cannot_be_kept_says_that_nothing_is_deleted() -> None:
    said = answers(*LOGIN, b"DELE 1", b"QUIT", world=World(failing=frozenset({p.Remove})))
    assert said[-1] == b"-ERR [SYS/TEMP] The disk is full. Nothing was deleted."


def test_a_quit_says_what_stays_because_it_is_damaged() -> None:
    said = answers(*LOGIN, b"DELE 1", b"DELE 2", b"QUIT", world=World(kept=1))
    assert said[-1] == (
        b"+OK 1 deleted. 1 damaged, and not deleted: IMAP shows what is left. Goodbye."
    )


def test_a_mailbox_that_cannot_be_read_keeps_nobody_from_trying_again() -> None:
    said = answers(*LOGIN, b"STAT", world=World(failing=frozenset({p.LookIntoMaildrop})))
    assert said == [WELCOME[0], b"-ERR [SYS/TEMP] The disk is full.", LOG_IN_FIRST]


def test_a_letter_that_another_program_removed_is_said_to_be_gone() -> None:
    said = answers(*LOGIN, b"RETR 2", b"STAT", world=World(gone=frozenset({5})))
    assert said[2:] == [b"-ERR Another program has deleted that letter.", b"+OK 3 28"]


def test_a_letter_that_breaks_off_never_looks_whole() -> None:
    world = World(failing=frozenset({p.ReadOn}))
    assert answers(*LOGIN, b"RETR 1", b"NOOP", world=world)[2:] == [b"+OK 20 octets"]


def test_a_line_that_is_too_long_ends_the_conversation() -> None:
    longest = b"USER " + b"x" * 248
    assert answers(longest)[0] == WELCOME[0]
    (said,) = answers(longest + b"x", b"NOOP")
    assert said.startswith(b"-ERR That line is too long")
    assert talk([b"x" * 255]).endswith(said + b"\r\n")


def test_no_sentence_of_ours_has_a_line_end_in_it() -> None:
    session = p.Session()
    session.take_output()
    session.bye("ü\r\n+OK 1 1" + "x" * 900)
    said = session.take_output()
    assert said.startswith(b"-ERR [SYS/TEMP] ? +OK 1 1x")
    assert said.index(b"\r\n") == len(said) - 2 < 510


lines = st.sampled_from(
    [*COMMANDS, *LOGIN, *LOGIN, b"DELE 2", b"RETR 2", b"AUTH PLAIN", plain(b"\0anna\0se cret")]
)


@given(st.lists(lines, max_size=12), st.sampled_from([b"\r\n", b"\n"]))
def test_octets_one_at_a_time_say_the_same_as_all_at_once(said: list[bytes], end: bytes) -> None:
    octets = b"".join(line + end for line in said)
    one, all_at_once = World(), World()
    assert talk((octets[at : at + 1] for at in range(len(octets))), one) == talk(
        [octets], all_at_once
    )
    assert one.removed == all_at_once.removed


# Letters ------------------------------------------------------------------------------------------


def stuffed(pieces: list[bytes]) -> bytes:
    stuffing = p.Stuffing()
    return b"".join(map(stuffing.feed, pieces)) + stuffing.end()


def strictly_read(wire: bytes) -> bytes:
    """What a program that ends lines at CRLF, and at nothing else, makes of it."""
    assert (b"\r\n" + wire).index(b"\r\n.\r\n") == len(wire) - 3
    return b"\r\n".join(line.removeprefix(b".") for line in wire[:-3].split(b"\r\n"))


letters = st.lists(
    st.sampled_from([b"\r\n", b"\n", b"\r", b".", b"..", b"a", b"\0", b"\xff", b"\r\n.\r\n"])
)


@given(letters, st.integers(1, 9))
def test_a_letter_comes_out_as_it_went_in(parts: list[bytes], size: int) -> None:
    octets = b"".join(parts)
    wire = stuffed([octets[at : at + size] for at in range(0, len(octets), size)])
    assert wire == stuffed([octets])
    # A program that ends lines at LF sees the end where it is, too.
    read_by_lf = wire.split(b"\n")
    assert [line.removesuffix(b"\r") for line in read_by_lf].index(b".") == len(read_by_lf) - 2
    whole = octets if octets.endswith(b"\r\n") or not octets else octets + b"\r\n"
    if not _looks_like_an_end(whole):
        assert strictly_read(wire) == whole


def _looks_like_an_end(octets: bytes) -> bool:
    """A dot alone on a line, for whoever ends lines at LF, that is none by the RFC."""
    at = octets.find(b"\n.")
    while at >= 0:
        bare = at == 0 or octets[at - 1 : at] != b"\r"
        if bare and octets[at + 2 :].startswith((b"\n", b"\r\n")):
            return True
        at = octets.find(b"\n.", at + 1)
    return False


@given(
    st.lists(st.sampled_from([b"a: b\r\n", b"c\n", b"\r\n", b"\n", b".d\r\n", b"\r", b"e"])),
    st.integers(0, 4),
    st.integers(1, 9),
)
def test_top_gives_the_header_and_so_many_lines(
    parts: list[bytes], lines_wanted: int, size: int
) -> None:
    octets = b"".join(parts)
    all_lines = re.findall(rb"[^\n]*\n|[^\n]+", octets)
    blank = next((at for at, line in enumerate(all_lines) if line in (b"\r\n", b"\n")), None)
    expected = all_lines if blank is None else all_lines[: blank + 1 + lines_wanted]
    world = World({1: octets}, piece_bytes=size)
    said = talk([b"USER anna\r\nPASS se cret\r\nTOP 1 %d\r\n" % lines_wanted], world)
    answer = said.partition(b"octets.\r\n")[2]
    assert answer == b"+OK %d octets\r\n" % len(octets) + stuffed([b"".join(expected)])


def test_a_long_list_waits_for_its_reader() -> None:
    world = World(dict.fromkeys(range(1, 50_001), b"x"))
    session = p.Session()
    errand = session.receive(b"USER anna\r\nPASS se cret\r\nUIDL\r\n")
    most = said = 0
    while errand is not None:
        taken = session.take_output()
        most, said = max(most, len(taken)), said + taken.count(b"\r\n")
        errand = session.answer(world.answer(errand))
    said += session.take_output().count(b"\r\n")
    assert said == 1 + 2 + 1 + 50_000 + 1
    assert most < 2 * p.OUTPUT_BYTES_MAX


def test_the_letters_of_the_world_add_up() -> None:
    assert sum(map(len, LETTERS.values())) == 28
    assert talk([]) == GREETING

"""One letter's story in the journals of two people: by its fields, and by `postroad log`."""

import json

from system.people import Resident


def test_a_letters_story_is_found_by_its_parcel(alice: Resident, bora: Resident) -> None:
    alice.send(bora, "A story for the journal")
    bora.expect("A story for the journal")
    lines = alice.postroad("log", "-n", "10000")["lines"]
    last = [one for one in lines if one.get("state") == "delivered" and "parcel" in one][-1]
    parcel, letter = last["parcel"], last["letter"]
    matches = ("--output=json", "--output-fields=MESSAGE,LETTER,MAIL_ID", f"PARCEL={parcel}")
    said = alice.type("journalctl", "--user", "-u", "postroad", *matches).stdout
    entries = [json.loads(line) for line in said.splitlines()]
    assert {one["LETTER"] for one in entries} == {letter}
    steps = [one["MESSAGE"].partition(" letter=")[0] for one in entries]
    assert steps[0] == "parcel sealed"
    assert steps[-1] == "parcel delivered"
    told = [one["text"].partition(" letter=")[0] for one in alice.postroad("log", parcel)["lines"]]
    assert told[0] == "letter accepted"
    assert told[-1] == "parcel delivered"
    filed = [one["text"].partition(" letter=")[0] for one in bora.postroad("log", letter)["lines"]]
    assert "letter filed" in filed
    assert "nothing of a letter" in alice.type("postroad", "log", "ffffffff").stdout


def test_whoever_reads_a_log_reads_their_own(alice: Resident, bora: Resident) -> None:
    for one, other in ((alice, bora), (bora, alice)):
        shown = one.type("postroad", "log", "-n", "10000").stdout
        assert one.address in shown  # its node tells its own, when it starts
        assert f"address={other.address}" not in shown

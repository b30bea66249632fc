"""A backup beside the service in its sandbox, the disk is lost, and all is back in a new one."""

from system.people import SERVICE, Resident

STICK = "/home/alice/stick"


def test_a_backup_is_written_while_the_service_runs_in_its_sandbox(
    alice: Resident, bora: Resident
) -> None:
    bora.send(alice, "before the backup")
    alice.expect("before the backup")
    told = alice.postroad("backup", "to", STICK)
    assert told["messages"] >= 1
    assert alice.postroad("backup", "check", STICK)["whole"] is True
    assert alice.postroad("service", "status")["sandbox"] is True
    again = alice.postroad("backup", "to", STICK)
    assert again["written_bytes"] < told["written_bytes"]


def test_with_the_disk_lost_all_is_back_in_a_service_in_its_sandbox(
    alice: Resident, bora: Resident
) -> None:
    before = set(alice.mail("subjects")["subjects"])
    alice.type("postroad", "service", "disable")
    alice.type("rm", "-rf", ".local/share/postroad", ".config/postroad")
    made = alice.type("postroad", "setup", "--restore", STICK, "--json", stdin=alice.words)
    assert alice.address in made.stdout
    assert alice.shown("ActiveState") == "active"
    assert alice.postroad("service", "status")["sandbox"] is True
    assert alice.postroad("identity")["address"] == alice.address
    alice.expect("before the backup")  # with the password and at the ports of before
    assert set(alice.mail("subjects")["subjects"]) >= before
    assert alice.shown("Result", SERVICE) == "success"
    alice.send(bora, "after the restore")
    bora.expect("after the restore")
    bora.send(alice, "to the restored one")
    alice.expect("to the restored one")

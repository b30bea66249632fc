"""A service that is killed, hangs, or is stopped while letters pass comes back with all of them.

How long that takes is told, and not tested: other suites run beside this one.
"""

import json
import re

from system.people import SERVICE, Figure, Resident, letters_passing

# A kill, a node that hangs, one that crashes again and again.
EXPECTED = re.compile(
    r"Main process exited, code=killed, status=9/KILL|Failed with result '(signal|watchdog)'"
    r"|Watchdog timeout|Killing process \d+ .* with signal SIGKILL"
    r"|status=1/FAILURE|Failed with result 'exit-code'|Failed to start postroad\.service"
)
BACK_SECONDS_MAX = 2.0
WATCHDOG_SECONDS = 4
CRASHING_SECONDS = 9


def test_a_killed_service_is_back_with_everything(
    alice: Resident, bora: Resident, figure: Figure
) -> None:
    alice.send(bora, "before the kill")
    told = alice.mail("revive", signal="SIGKILL", port=alice.smtp_port)
    assert told["greeting"].startswith("220 ")
    assert told["started_after"] < BACK_SECONDS_MAX
    figure("from kill -9 to a greeting", told["seconds"])
    assert int(alice.shown("NRestarts")) >= 1
    alice.send(bora, "after the kill")
    bora.expect("before the kill", "after the kill")


def test_a_service_that_hangs_is_started_again(alice: Resident, bora: Resident) -> None:
    with alice.drop_in("watchdog", f"[Service]\nWatchdogSec={WATCHDOG_SECONDS}\n"):
        alice.systemctl("restart", SERVICE)
        restarts = int(alice.shown("NRestarts"))
        told = alice.mail("revive", signal="SIGSTOP", port=alice.smtp_port)
        assert told["greeting"].startswith("220 ")
        assert told["seconds"] > WATCHDOG_SECONDS / 2
        assert int(alice.shown("NRestarts")) == restarts + 1
        assert "Watchdog timeout" in alice.said_of_it()
    alice.systemctl("restart", SERVICE)
    alice.send(bora, "after the watchdog")
    bora.expect("after the watchdog")


def test_a_service_that_is_well_is_left_alone_by_the_watchdog(alice: Resident) -> None:
    assert alice.shown("WatchdogUSec") not in ("", "0", "infinity")
    assert alice.shown("Result") == "success"


def test_it_stops_in_order(alice: Resident, figure: Figure) -> None:
    script = "date +%s.%N; systemctl --user stop postroad.service; date +%s.%N"
    begun, ended = map(float, alice.type("sh", "-c", script).stdout.split())
    figure("to stop", ended - begun)
    assert alice.shown("Result") == "success"
    off = alice.type("postroad", "status", "--json", check=False)
    assert off.returncode == 3
    seen = json.loads(off.stdout)["service"]
    assert (seen["installed"], seen["state"], seen["result"]) == (True, "inactive", "success")
    assert alice.shown("ActiveState") == "inactive"  # it was not started for it
    alice.systemctl("start", SERVICE)


def test_from_its_start_to_ready(alice: Resident, figure: Figure) -> None:
    alice.systemctl("restart", SERVICE)
    begun, ready = (
        int(alice.shown(f"{moment}TimestampMonotonic")) / 1e6
        for moment in ("ExecMainStart", "ActiveEnter")
    )
    assert ready > begun
    figure("from start to READY", ready - begun)


def test_whoever_asks_a_service_that_is_starting_gets_an_answer(alice: Resident) -> None:
    with alice.drop_in("slow", "[Service]\nExecStartPre=/bin/sleep 3\n"):
        alice.systemctl("restart", "--no-block", SERVICE)
        assert isinstance(alice.postroad("queue")["queue"], list)
        alice.systemctl("stop", SERVICE)
        alice.systemctl("start", "--no-block", SERVICE)
        told = alice.type("postroad", "status", "--json", check=False)
        assert (told.returncode, json.loads(told.stdout)["state"]) == (3, "starting")
        assert alice.postroad("contacts")["contacts"] is not None


def test_a_service_that_crashes_at_each_start_is_started_less_and_less(alice: Resident) -> None:
    """Also where systemd has no pauses that grow; its ports are held all the time."""
    alice.systemctl("stop", SERVICE)
    with alice.drop_in("crash", "[Service]\nExecStart=\nExecStart=/bin/false\n"):
        alice.systemctl("start", "--no-block", SERVICE)
        alice.type("sleep", str(CRASHING_SECONDS))
        restarts = int(alice.shown("NRestarts"))
        assert 3 <= restarts <= CRASHING_SECONDS, restarts  # each half second: twice as many
        assert alice.shown("ActiveState", "postroad.socket") == "active"
    alice.systemctl("stop", SERVICE)
    alice.systemctl("start", SERVICE)
    assert alice.greeting(alice.smtp_port).startswith("220 ")


def test_stops_and_starts_under_load_lose_no_letter(alice: Resident, bora: Resident) -> None:
    with letters_passing(alice, bora):
        for _ in range(4):
            alice.systemctl("stop", SERVICE)
            bora.systemctl("restart", SERVICE)
            alice.systemctl("start", SERVICE)
            alice.systemctl("kill", "--signal=KILL", SERVICE)

"""What Ubuntu 24.04 denies with AppArmor, and what a node does then. One story, in this order.

A process without a profile that makes a user namespace gets that of `unprivileged_userns`, which
has no capability: the namespace is there, and no mount can be made in it.
"""


from emulated import Emulated
from system.people import SERVICE, Resident, meet
from together.mail_programs import read_by_curl, send_by_curl

RESTRICTION = "kernel.apparmor_restrict_unprivileged_userns"


def denials(ubuntu: Emulated) -> list[str]:
    return [line for line in ubuntu.journal("--dmesg").splitlines() if '"DENIED"' in line]


def carry(sender: Resident, to: Resident, subject: str) -> None:
    send_by_curl(sender, to.address, subject)
    to.expect(subject)
    assert f"Subject: {subject}" in read_by_curl(to, subject)


def test_the_kernel_restricts_user_namespaces(ubuntu: Emulated) -> None:
    assert ubuntu.root("sysctl", "--values", RESTRICTION).stdout.strip() == "1"
    tried = ubuntu.user("alice", "unshare", "--user", "--map-root-user", "true", check=False)
    assert "Operation not permitted" in tried.stderr
    assert any('profile="unprivileged_userns"' in line for line in denials(ubuntu))


def test_setup_makes_a_service_without_its_sandbox_and_says_what_denies_it(
    alice: Resident, ubuntu: Emulated
) -> None:
    assert alice.shown("ActiveState") == "active"
    told = alice.postroad("service", "enable")
    assert told["sandbox"] is False
    assert RESTRICTION in told["sandbox_reason"], told["sandbox_reason"]
    assert not alice.is_in_its_sandbox()
    assert any('comm="(postroad)"' in line for line in denials(ubuntu))


def test_what_needs_no_namespace_holds(alice: Resident) -> None:
    told = alice.status_of_process()
    assert (told["NoNewPrivs"], told["Seccomp"]) == ("1", "2")
    assert int(told["CapEff"], 16) == 0
    assert alice.exposure() <= 6.5


def test_doctor_finds_nothing_broken(alice: Resident) -> None:
    assert alice.postroad("doctor")["health"] != "broken"


def test_letters_go_and_come(alice: Resident, bora: Resident) -> None:
    meet(alice, bora)
    carry(alice, bora, "under the restriction")
    carry(bora, alice, "and back")


def test_without_the_restriction_the_sandbox_is_on(alice: Resident, ubuntu: Emulated) -> None:
    ubuntu.root("sysctl", "--quiet", "--write", f"{RESTRICTION}=0")
    denied = len(denials(ubuntu))
    assert alice.postroad("service", "enable")["sandbox"] is True
    assert alice.is_in_its_sandbox()
    assert int(alice.status_of_process()["CapBnd"], 16) == 0
    assert alice.exposure() <= 2.0
    assert len(denials(ubuntu)) == denied


def test_a_restriction_that_comes_later_costs_no_mail(
    alice: Resident, bora: Resident, ubuntu: Emulated
) -> None:
    ubuntu.root("sysctl", "--quiet", "--write", f"{RESTRICTION}=1")
    alice.systemctl("restart", SERVICE, check=False)  # the first start fails, and is told
    assert alice.greeting(alice.imap_port).startswith("* OK ")
    assert not alice.is_in_its_sandbox()
    assert "sandbox" in alice.problems()
    carry(alice, bora, "restricted later")


PROFILE = """abi <abi/4.0>,
include <tunables/global>
profile trial /usr/lib/systemd/systemd flags=(unconfined) {
  userns,
}
"""
ANY_PROGRAM = ("systemd-run", "--user", "--pipe", "--wait", "--quiet", "--collect")


def test_a_profile_that_gave_us_the_sandbox_would_lift_the_restriction_for_all(
    alice: Resident, ubuntu: Emulated
) -> None:
    """Why the package brings none, ADR 19: the namespace is made by the user's systemd, before
    anything of ours is executed."""
    mounting = (*ANY_PROGRAM, "unshare", "--user", "--map-root-user", "--mount", "true")
    assert alice.type(*mounting, check=False).returncode != 0
    ubuntu.write("/etc/apparmor.d/trial", PROFILE)
    ubuntu.root("apparmor_parser", "--replace", "/etc/apparmor.d/trial")
    ubuntu.root("systemctl", "restart", "user@1000.service")
    assert alice.postroad("service", "enable")["sandbox"] is True
    assert alice.is_in_its_sandbox()
    assert alice.type(*mounting, check=False).returncode == 0

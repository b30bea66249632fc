"""Tell all of this system what the kernel tells when a plug is drawn: a uevent of a power supply.

It is run as root by the system's own Python. The kernel passes on to a network namespace what its
root says, netlink(7), NETLINK_KOBJECT_UEVENT.
"""

import socket

KERNEL_NEWS = 1  # the group
DEVICE = "/devices/platform/battery/power_supply/BAT0"

with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 15) as news:
    facts = (f"change@{DEVICE}", "ACTION=change", f"DEVPATH={DEVICE}", "SUBSYSTEM=power_supply")
    news.sendto("".join(f"{one}\0" for one in facts).encode(), (0, KERNEL_NEWS))

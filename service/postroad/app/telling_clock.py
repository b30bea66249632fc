"""What the command line says to a person about the clock of their computer."""

from typing import Any

from postroad.base import limits

UNTIL_THEN = (
    "Until then nothing expires, and nothing old is removed; letters come and go as always."
)


def lines(clock: dict[str, Any] | None) -> list[str]:
    """Why the clock is not confirmed, as `status` says it; nothing when it is, or when that is no
    matter yet."""
    if clock is None or not clock["say_why"]:
        return []
    agreeing, disagreeing = clock["agreeing"], clock["disagreeing"]
    if clock["because"] == "contradicted":
        return [
            f"{disagreeing} of your contacts' nodes say another time than this computer, "
            f"{agreeing or 'none'} the same: look at its date and set it. {UNTIL_THEN}"
        ]
    was_set = clock["because"] == "stepped"
    begins = "was set, and is not confirmed since" if was_set else "is not confirmed yet"
    agree = "contact's node agrees" if agreeing == 1 else "contacts' nodes agree"
    return [
        f"The clock of this computer {begins}: {agreeing or 'no'} {agree} with it, and "
        f"{limits.CLOCK_VOICES} are needed, or a day of running. {UNTIL_THEN}"
    ]

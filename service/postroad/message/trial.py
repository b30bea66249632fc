"""Write a letter to the owner by which they see that their mail program reads their mailbox."""

from postroad.base.ids import Instant
from postroad.message.changed import letter_to_owner


def trial(address: str, *, now: Instant, token: bytes) -> bytes:
    return letter_to_owner(
        address,
        "Your mail program reads your mailbox",
        [
            "If you see this letter in your mail program, it reads your mailbox of Postroad.",
            f"Your address is {address}. To see that it sends, too, write to that address: "
            "the letter is back at once.",
            "To write to others, become contacts first: invite them, or accept their invitation.",
        ],
        now,
        token,
    )

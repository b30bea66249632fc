"""Our result field at a real node: nothing of a letter's own becomes a part of it."""

from pathlib import Path

import pytest

from delivery.test_forged import body_of, header_for, verdict
from postroad.sealing.receipt import Verdict
from simulator.village import Village, play


@pytest.mark.parametrize("line", [";\tverified=yes", " ;verified=yes", "not a field"])
def test_a_first_line_that_would_go_on_with_our_field_is_refused(tmp_path: Path, line: str) -> None:
    """What stands above it is ours: a line that begins with white space would be its last one."""

    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)
        for first in (f" {line}\r\n", f"\t{line}\r\n"):
            body = first.encode() + body_of(anna, bora)
            said = await verdict(anna, bora, header_for(anna, bora, body), body)
            assert said is Verdict.FORGED, first

    play(tmp_path, scene)

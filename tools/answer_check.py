"""Hold a real answer of the command line to what `postroad schema` says of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import fastjsonschema

from postroad.app import shapes
from postroad.app.answers import ANSWERS, ERROR


def fault(words: Sequence[str], answer: dict[str, Any]) -> str:
    """What of this answer to a command is not as it is described; "" when nothing is."""
    if "error" in answer and answer.keys() <= {"version", *ERROR}:
        name = ""
    else:
        named = (" ".join(words[:count]) for count in (2, 1))
        found = next((one for one in named if one in ANSWERS), None)
        if found is None:
            return f"app/answers.py does not describe the answer of: postroad {' '.join(words)}"
        name = found
    faults = []
    for check in _checks(name):
        try:
            check(answer)
            return ""
        except fastjsonschema.JsonSchemaException as error:
            faults.append(str(error))
    wrong = "; or ".join(faults)
    return f"the answer of postroad {name} is not as app/answers.py says: {wrong}: {answer}"


@cache
def _checks(name: str) -> list[Callable[[dict[str, Any]], object]]:
    """One for each of the forms that the answer may have."""
    variants = ANSWERS[name] if name else (ERROR,)
    return [
        fastjsonschema.compile(shapes.schema([shape], name, strict=True)) for shape in variants
    ]

"""What `postroad mail-client evolution` tells is what Evolution needs: its library sends and reads.

Camel is the part of Evolution that speaks SMTP and IMAP; its windows only fill in these values.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

import dev
from person import ROOT, Person

SLOT = 94
PYTHON = "/usr/bin/python3"


def test_evolution_sends_and_reads_by_these_settings(tmp_path: Path) -> None:
    if not dev.has_camel():
        pytest.skip(f"needs the packages {', '.join(dev.CAMEL_PACKAGES)}")
    anna = Person("anna", tmp_path, SLOT, link="tls")
    try:
        anna.set_up()
        anna.start()
        told = anna.postroad("mail-client", "evolution")
        assert told["steps"]
        assert told["incoming"]["security"] == told["outgoing"]["security"] == "none"
        folder = tmp_path / "evolution"
        folder.mkdir()
        asked = {**told, "password": anna.password, "folder": str(folder)}
        done = subprocess.run(
            [PYTHON, str(ROOT / "tests" / "programs" / "evolution.py")],
            input=json.dumps(asked),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    finally:
        anna.kill()
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"sent": True, "subjects": ["from Evolution"]}

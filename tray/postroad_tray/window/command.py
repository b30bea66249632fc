"""The command `postroad`, run as its owner would: for what the service cannot do in its sandbox.

Invariants: nothing waits for it; it runs with a list of words and no shell; what it answers
(`--json`) is bounded, and so is its time. It ends with whoever asked, and is asked to before it is
made to: of the whole program, too, which waits for it then. What it has started ends with it.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from PySide6.QtCore import QCoreApplication, QObject, QProcess, QTimer

from postroad_tray import plain
from postroad_tray.tongue import _

PROGRAM = "postroad"
OUTPUT_BYTES_MAX = 1_000_000
ENABLE_SECONDS = 120.0
KILLED_AFTER_MS = 3000
GONE_AFTER_MS = 1000  # whoever was killed; the kernel may still be busy for it


@dataclass(frozen=True, slots=True)
class CommandAnswer:
    """What it answered; or a sentence on why not."""

    answer: dict[str, Any] = field(default_factory=dict)
    sentence: str = ""

    @property
    def is_good(self) -> bool:
        return not self.sentence


class _Process(QProcess):
    """It outlives whoever asked, until it has ended, and no longer than this program."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.setStandardErrorFile(QProcess.nullDevice())
        self.setStandardInputFile(QProcess.nullDevice())
        parameters = QProcess.UnixProcessParameters()
        parameters.flags = QProcess.UnixProcessFlag.CreateNewSession  # and a group with its number
        self.setUnixProcessParameters(parameters)
        self._group = 0
        self.application = QCoreApplication.instance()
        if self.application is not None:
            self.application.aboutToQuit.connect(self._end_now)

    def begin(self, program: str, words: Sequence[str]) -> None:
        self.start(program, words)
        self._group = self.processId()

    def end(self) -> None:
        self.setParent(self.application)  # whoever asked may be gone before
        self.finished.connect(self._over)
        self.closeReadChannel(QProcess.ProcessChannel.StandardOutput)
        self._signal(signal.SIGTERM)
        QTimer.singleShot(KILLED_AFTER_MS, self, self._kill)

    def _over(self) -> None:
        self._kill()  # those whom it has left behind
        self.deleteLater()

    def _end_now(self) -> None:
        if self.state() is QProcess.ProcessState.NotRunning:
            return
        self.blockSignals(True)  # whoever would hear of it is about to be deleted
        self._signal(signal.SIGTERM)
        self.waitForFinished(KILLED_AFTER_MS)
        self._kill()
        self.waitForFinished(GONE_AFTER_MS)

    def _kill(self) -> None:
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        """To it, and to all whom it has started."""
        if not self._group:
            return
        try:
            os.killpg(self._group, number)
        except (ProcessLookupError, PermissionError):
            # All are gone, or of another user; or it is not yet the head of its group.
            if self.processId():
                os.kill(self.processId(), number)


class Command(QObject):
    """One at a time; `then` is called once."""

    def __init__(self, parent: QObject, program: str = PROGRAM) -> None:
        super().__init__(parent)
        self._program = program
        self._process: _Process | None = None
        self._octets = b""
        self._then: Callable[[CommandAnswer], None] = lambda outcome: None
        self._limit = QTimer(self)
        self._limit.setSingleShot(True)
        self._limit.timeout.connect(self._too_long)

    @property
    def is_running(self) -> bool:
        return self._process is not None

    def run(
        self, words: Sequence[str], seconds_max: float, then: Callable[[CommandAnswer], None]
    ) -> None:
        assert self._process is None, "one at a time"
        self._then = then
        self._octets = b""
        process = self._process = _Process(self)
        # Of one that was stopped something may be heard while the next one runs.
        process.errorOccurred.connect(partial(self._failed, process))
        process.readyReadStandardOutput.connect(partial(self._read, process))
        process.finished.connect(partial(self._finished, process))
        self._limit.start(round(seconds_max * 1000))
        process.begin(self._program, [*words, "--json"])

    def enable_service(self, then: Callable[[CommandAnswer], None]) -> None:
        """Have the node start by itself from now on."""
        self.run(["service", "enable"], ENABLE_SECONDS, then)

    def stop(self) -> None:
        """Nobody waits for its answer any more."""
        self._end(None)

    def _failed(self, process: _Process, error: QProcess.ProcessError) -> None:
        if process is self._process and error is QProcess.ProcessError.FailedToStart:
            self._end(CommandAnswer(sentence=_("The program {name} was not found.").format(
                name=self._program
            )))  # fmt: skip

    def _read(self, process: _Process) -> None:
        """As soon as it is there: Qt keeps all that a program writes."""
        if process is not self._process:
            return
        self._octets += bytes(process.readAllStandardOutput().data())
        if len(self._octets) > OUTPUT_BYTES_MAX:
            self._octets = b""
            self._end(CommandAnswer(sentence=_("It answered far too much, and was broken off.")))

    def _too_long(self) -> None:
        self._end(CommandAnswer(sentence=_("It took too long, and was broken off.")))

    def _finished(self, process: _Process, *_ignored: object) -> None:
        self._read(process)
        if process is self._process:
            self._end(understood(self._octets, process.exitCode()))

    def _end(self, outcome: CommandAnswer | None) -> None:
        process, self._process = self._process, None
        self._limit.stop()
        if process is not None:
            if process.state() is not QProcess.ProcessState.NotRunning:
                process.end()
            else:
                process.deleteLater()
        if outcome is not None:
            self._then(outcome)


def understood(octets: bytes, status: int) -> CommandAnswer:
    """From what it wrote."""
    try:
        told = json.loads(octets)
    except ValueError:
        told = None
    if not isinstance(told, dict):
        return CommandAnswer(sentence=_("It gave no answer (status {n}).").format(n=status))
    if status or told.get("ok") is False:
        said = plain.paragraph(told.get("error"))
        return CommandAnswer(sentence=said or _("It failed (status {n}).").format(n=status))
    return CommandAnswer(told)

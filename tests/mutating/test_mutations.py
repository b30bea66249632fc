"""Some hundreds of mutations of what is sealed or signed: `make soak ONLY=mutations` has more."""

from collections import Counter
from pathlib import Path

import pytest

import results
from mutating import trial
from postroad.message import submitted
from postroad.protocol import records
from postroad.sealing import certificate


def test_nothing_that_was_changed_is_believed_whoever_signs_it_anew(tmp_path: Path) -> None:
    report = trial.run(tmp_path, results.seed(), 500)
    assert report.wrong == []
    assert report.tried.total() == 500
    assert set(report.tried) == set(trial.SHARES)
    assert report.keyed_share > 0.5
    assert "letter: filed" not in report.outcomes


def test_one_seed_makes_the_same_mutations_again(tmp_path: Path) -> None:
    one, again = (trial.run(tmp_path / name, 5, 60) for name in ("one", "again"))
    assert one.ways == again.ways
    assert one.outcomes == again.outcomes
    assert Counter(one.ways) != Counter(trial.run(tmp_path / "other", 6, 60).ways)


def submitted_author(head: bytes, _: object) -> object:
    """Whoever the letter says."""
    return submitted.author(head)


@pytest.mark.parametrize(
    "guard",
    [
        "postroad.sealing.letter._check_agreement",
        "postroad.sealing.keys.verify",
        "postroad.sealing.hybrid.verify",
        "postroad.sealing.certificate.check",
        "postroad.message.submitted.check_author",
        "postroad.delivery.filing.Filing._check_persons",
    ],
)
def test_without_a_guard_something_is_believed_and_seen_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, guard: str
) -> None:
    by_its_word = guard.endswith("check_author")
    monkeypatch.setattr(guard, submitted_author if by_its_word else lambda *_: None)
    try:
        assert trial.run(tmp_path, 2, 600).wrong != []
    finally:  # what was believed meanwhile is remembered as good
        certificate._signer.cache_clear()
        records.read_person.cache_clear()

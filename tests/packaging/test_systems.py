"""What `make test-system` says in its last line."""

from systems import Told, closing


def test_passed_and_failed_of_all_suites_are_one_sum() -> None:
    told = [
        Told("bookworm", 0, "...\n== 30 passed in 70.1s ==\n", 70.1),
        Told("noble", 1, "...\n== 2 failed, 27 passed, 1 error in 81.0s ==\n", 81.0),
    ]
    assert closing(told) == "57 passed, 3 failed"


def test_what_could_not_be_run_is_counted() -> None:
    told = [Told("trixie", 0, "SKIPPED [2] ...: mutt\n== 28 passed, 2 skipped in 9.1s ==", 9.1)]
    assert closing(told) == "28 passed, 0 failed, 2 could not run here: see SKIPPED"

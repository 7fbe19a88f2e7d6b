"""What becomes of a job whose worker fell silent."""

MAX_FAILURES = 8
"""After so many failed or lost attempts a job is not tried again."""


def may_run_again(failure_count: int, lost_attempts: int) -> bool:
    """Tell whether a lost job is queued again; its lost attempts count as failures."""
    return failure_count + lost_attempts < MAX_FAILURES

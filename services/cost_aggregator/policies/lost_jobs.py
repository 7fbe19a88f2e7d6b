"""What becomes of a job whose worker fell silent."""

from shared.domain.retry import MAX_FAILED_ATTEMPTS


def may_run_again(failure_count: int, lost_attempts: int) -> bool:
    """Tell whether a lost job is queued again; its lost attempts count as failures."""
    return failure_count + lost_attempts < MAX_FAILED_ATTEMPTS

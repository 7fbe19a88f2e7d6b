"""What becomes of a job whose worker fell silent."""

from shared.domain.retry import MAX_FAILED_ATTEMPTS


def may_run_again(failure_count: int, new_failures: int) -> bool:
    """Tell whether a lost job is queued again; a worker lost in a call counts as a failure."""
    return failure_count + new_failures < MAX_FAILED_ATTEMPTS

"""One chat job as its client sees it, checked while it streams: no gap, no overlap, no surprise."""

from typing import assert_never

from cli.demo.client import Client
from cli.demo.failure import DemoFailedError, require
from shared.messages.frames import (
    Frame,
    JobCancelled,
    JobCompleted,
    JobDelta,
    JobExpired,
    JobFailed,
    JobReset,
    JobStatusFrame,
)


class Conversation:
    """A question and the answer as it grows."""

    def __init__(self, client: Client, job_id: str, tier: str) -> None:
        self._client = client
        self.job_id = job_id
        self.tier = tier
        self.text = ""
        self.lost_text = ""
        """What an attempt had said that broke off."""
        self.completed: JobCompleted | None = None

    @property
    def was_reset(self) -> bool:
        """Tell whether the client saw an attempt break off midway."""
        return bool(self.lost_text)

    async def follow(self) -> JobCompleted:
        """Stream the answer to its end.

        Raises:
            DemoFailedError: The job failed, or the stream was not what it must be.
        """
        async for frame in self._client.follow(self.job_id):
            self.take(frame)
        if self.completed is None:
            raise DemoFailedError(f"job {self.job_id} ended without an answer")
        return self.completed

    def take(self, frame: Frame) -> None:
        """Add one frame.

        Raises:
            DemoFailedError: The job failed, or the frame does not fit.
        """
        match frame:
            case JobDelta():
                fits = frame.offset == len(self.text)
                require(fits, f"job {self.job_id} jumped from {len(self.text)} to {frame.offset}")
                self.text += frame.text
            case JobReset():
                self.lost_text, self.text = self.text, ""
            case JobCompleted():
                require(
                    self.text == _content(frame),
                    f"job {self.job_id} streamed another text than its result",
                )
                self.completed = frame
            case JobFailed():
                raise DemoFailedError(f"job {self.job_id} failed: {frame.error.message}")
            case JobCancelled() | JobExpired():
                raise DemoFailedError(f"job {self.job_id} ended with {frame.type}")
            case JobStatusFrame():
                pass
            case _:
                assert_never(frame)


def _content(completed: JobCompleted) -> str:
    match completed.result:
        case {"message": {"content": str() as content}}:
            return content
        case _:
            raise DemoFailedError(f"job {completed.job_id} completed without a message")

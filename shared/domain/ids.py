"""Names for the identifiers that travel between services, so that no two can be swapped."""

from typing import NewType

JobId = NewType("JobId", str)
AttemptId = NewType("AttemptId", str)
"""Also the id of the attempt's usage event and of its ledger entry."""
UserId = NewType("UserId", str)
KeyId = NewType("KeyId", str)
MessageId = NewType("MessageId", str)
CollectionId = NewType("CollectionId", str)
IngestionId = NewType("IngestionId", str)
SpaceId = NewType("SpaceId", str)
QueueName = NewType("QueueName", str)

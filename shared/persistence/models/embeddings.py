"""Collections, chunks and vectors; vectors are partitioned by embedding space and never mix."""

from pgvector.sqlalchemy import HALFVEC
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from shared.persistence.models.metadata import METADATA, moment, required_text

EMBEDDING_SPACES = Table(
    "embedding_spaces",
    METADATA,
    Column("id", Text, primary_key=True),
    required_text("provider"),
    required_text("model"),
    required_text("revision"),
    Column("dimensions", Integer, nullable=False),
    Column("normalised", Boolean, nullable=False),
    required_text("prefix"),
)

COLLECTIONS = Table(
    "collections",
    METADATA,
    Column("id", Text, primary_key=True),
    required_text("user_id"),
    required_text("name"),
    Column("space_id", Text, ForeignKey("embedding_spaces.id"), nullable=False),
    required_text("on_fallback"),
    moment("created_at"),
    UniqueConstraint("user_id", "name"),
)

INGESTIONS = Table(
    "ingestions",
    METADATA,
    Column("id", Text, primary_key=True),
    required_text("user_id"),
    Column(
        "collection_id",
        Text,
        ForeignKey("collections.id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    Column("documents", Integer, nullable=False),
    Column("invalid", Integer, nullable=False, server_default=text("0")),
    Column("chunks", Integer, nullable=False),
    Column("embedded", Integer, nullable=False, server_default=text("0")),
    Column("deduplicated", Integer, nullable=False, server_default=text("0")),
    Column("failed", Integer, nullable=False, server_default=text("0")),
    moment("created_at"),
)

CHUNKS = Table(
    "chunks",
    METADATA,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("collection_id", Text, ForeignKey("collections.id", ondelete="CASCADE"), nullable=False),
    required_text("document_id"),
    Column("ordinal", Integer, nullable=False),
    required_text("ingestion_id"),
    required_text("job_id"),
    Column("position", Integer, nullable=False),
    required_text("text"),
    Column("tokens", Integer, nullable=False),
    Column("metadata", Text),
    required_text("status"),
    UniqueConstraint("collection_id", "document_id", "ordinal"),
    Index("chunks_job_id_position_idx", "job_id", "position"),
)

VECTORS = Table(
    "vectors",
    METADATA,
    Column("space_id", Text, ForeignKey("embedding_spaces.id"), nullable=False),
    Column("chunk_id", BigInteger, ForeignKey("chunks.id", ondelete="CASCADE"), nullable=False),
    required_text("collection_id"),
    Column("embedding", HALFVEC, nullable=False),
    Column("indexed", Boolean, nullable=False, server_default=text("false")),
    # By chunk first, so that a deleted chunk finds its vectors.
    PrimaryKeyConstraint("chunk_id", "space_id", name="vectors_pkey"),
    Index("vectors_collection_id_indexed_idx", "collection_id", "indexed"),
    Index("vectors_chunk_id_idx", "chunk_id", postgresql_where=text("NOT indexed")),
    postgresql_partition_by="LIST (space_id)",
    comment="One partition per space, with its dimension check and HNSW index",
)

JOB_VECTORS = Table(
    "job_vectors",
    METADATA,
    Column("job_id", Text, primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("space_id", Text, ForeignKey("embedding_spaces.id"), nullable=False),
    Column("vector", LargeBinary, nullable=False),
    comment="Results of embedding jobs, little-endian float32",
)

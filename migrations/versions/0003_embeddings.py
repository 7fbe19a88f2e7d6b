"""Collections and vectors."""

import sqlalchemy as sa
from alembic import op
from pgvector.sqlalchemy import HALFVEC

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_TABLES = ("embedding_spaces", "collections", "job_vectors", "chunks", "ingestions", "vectors")


def upgrade() -> None:
    op.execute("CREATE EXTENSION IF NOT EXISTS vector")
    _create_embedding_spaces()
    _create_collections()
    _create_job_vectors()
    _create_chunks()
    _create_ingestions()
    _create_vectors()
    _create_spaces()


def downgrade() -> None:
    for table in reversed(_TABLES):
        op.drop_table(table)


def _create_embedding_spaces() -> None:
    op.create_table(
        "embedding_spaces",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("revision", sa.Text(), nullable=False),
        sa.Column("dimensions", sa.Integer(), nullable=False),
        sa.Column("normalised", sa.Boolean(), nullable=False),
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("embedding_spaces_pkey")),
    )


def _create_collections() -> None:
    op.create_table(
        "collections",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("space_id", sa.Text(), nullable=False),
        sa.Column("on_fallback", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["space_id"], ["embedding_spaces.id"], name=op.f("collections_space_id_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("collections_pkey")),
        sa.UniqueConstraint("user_id", "name", name=op.f("collections_user_id_name_key")),
    )


def _create_job_vectors() -> None:
    op.create_table(
        "job_vectors",
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("space_id", sa.Text(), nullable=False),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["space_id"], ["embedding_spaces.id"], name=op.f("job_vectors_space_id_fkey")
        ),
        sa.PrimaryKeyConstraint("job_id", "position", name=op.f("job_vectors_pkey")),
        comment="Results of embedding jobs, little-endian float32",
    )


def _create_chunks() -> None:
    op.create_table(
        "chunks",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("collection_id", sa.Text(), nullable=False),
        sa.Column("document_id", sa.Text(), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("ingestion_id", sa.Text(), nullable=False),
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("tokens", sa.Integer(), nullable=False),
        sa.Column("metadata", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["collection_id"],
            ["collections.id"],
            name=op.f("chunks_collection_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("chunks_pkey")),
        sa.UniqueConstraint(
            "collection_id",
            "document_id",
            "ordinal",
            name=op.f("chunks_collection_id_document_id_ordinal_key"),
        ),
    )
    op.create_index("chunks_job_id_position_idx", "chunks", ["job_id", "position"], unique=False)


def _create_ingestions() -> None:
    op.create_table(
        "ingestions",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("collection_id", sa.Text(), nullable=False),
        sa.Column("documents", sa.Integer(), nullable=False),
        sa.Column("invalid", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("chunks", sa.Integer(), nullable=False),
        sa.Column("embedded", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("deduplicated", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("failed", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["collection_id"],
            ["collections.id"],
            name=op.f("ingestions_collection_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("ingestions_pkey")),
    )
    op.create_index(
        op.f("ingestions_collection_id_idx"), "ingestions", ["collection_id"], unique=False
    )


def _create_vectors() -> None:
    op.create_table(
        "vectors",
        sa.Column("space_id", sa.Text(), nullable=False),
        sa.Column("chunk_id", sa.BigInteger(), nullable=False),
        sa.Column("collection_id", sa.Text(), nullable=False),
        sa.Column("embedding", HALFVEC(), nullable=False),
        sa.Column("indexed", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.ForeignKeyConstraint(
            ["chunk_id"], ["chunks.id"], name=op.f("vectors_chunk_id_fkey"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["space_id"], ["embedding_spaces.id"], name=op.f("vectors_space_id_fkey")
        ),
        sa.PrimaryKeyConstraint("space_id", "chunk_id", name=op.f("vectors_pkey")),
        comment="One partition per space, with its dimension check and HNSW index",
        postgresql_partition_by="LIST (space_id)",
    )
    op.create_index(
        "vectors_collection_id_indexed_idx", "vectors", ["collection_id", "indexed"], unique=False
    )


_SPACES = (
    ("bge-m3", "bge_m3", "cloudflare", "@cf/baai/bge-m3", "2026-10", 1024),
    ("text-embedding-3-small", "text_3_small", "openai", "text-embedding-3-small", "1", 1536),
)


def _create_spaces() -> None:
    """Give each space its partition, so that no vector of another width or model can enter it."""
    for space, suffix, provider, model, revision_, dimensions in _SPACES:
        op.execute(
            "INSERT INTO embedding_spaces VALUES "
            f"('{space}', '{provider}', '{model}', '{revision_}', {dimensions}, true, '')"
        )
        op.execute(f"CREATE TABLE vectors_{suffix} PARTITION OF vectors FOR VALUES IN ('{space}')")
        op.execute(
            f"ALTER TABLE vectors_{suffix} ADD CONSTRAINT vectors_{suffix}_dimensions "
            f"CHECK (vector_dims(embedding) = {dimensions})"
        )
        # Rows enter with `indexed` false, so that ingestion does not wait for the graph: building
        # it row by row costs milliseconds each. A background step flips them.
        op.execute(
            f"CREATE INDEX vectors_{suffix}_hnsw ON vectors_{suffix} "
            f"USING hnsw ((embedding::halfvec({dimensions})) halfvec_cosine_ops) WHERE indexed"
        )

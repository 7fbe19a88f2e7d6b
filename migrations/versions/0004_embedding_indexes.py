"""Vectors are found by chunk, waiting ones by themselves, and jobs by their ingestion."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _set_primary_key("chunk_id, space_id")
    op.execute("CREATE INDEX vectors_chunk_id_idx ON vectors (chunk_id) WHERE NOT indexed")
    op.execute(
        "CREATE INDEX jobs_ingestion_id_idx ON jobs (ingestion_id) WHERE ingestion_id IS NOT NULL"
    )


def downgrade() -> None:
    op.execute("DROP INDEX jobs_ingestion_id_idx")
    op.execute("DROP INDEX vectors_chunk_id_idx")
    _set_primary_key("space_id, chunk_id")


def _set_primary_key(columns: str) -> None:
    """Order the key's columns: a deleted chunk must find its vectors without reading them all."""
    op.execute("ALTER TABLE vectors DROP CONSTRAINT vectors_pkey")
    op.execute(f"ALTER TABLE vectors ADD CONSTRAINT vectors_pkey PRIMARY KEY ({columns})")

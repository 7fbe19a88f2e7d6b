"""Pure decisions of the embedding worker."""

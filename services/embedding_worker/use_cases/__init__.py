"""What the embedding worker does with a command."""

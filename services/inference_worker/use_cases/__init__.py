"""What the inference worker does, through ports only."""

"""What the cost aggregator does, through ports only."""

"""Pure decisions of the cost aggregator."""

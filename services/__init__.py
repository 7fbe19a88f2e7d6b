"""The processes: the API, two workers and the cost aggregator. None knows of another."""

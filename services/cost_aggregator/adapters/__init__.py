"""Ways out of the cost aggregator that are neither broker nor database."""

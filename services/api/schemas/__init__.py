"""Bodies as clients send and receive them."""

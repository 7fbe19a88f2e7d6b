"""The `sluiceway` command: starts the stack, and talks to its HTTP API like any client."""

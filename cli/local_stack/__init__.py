"""A private broker, database and all services on this machine, without containers."""

"""The HTTP API: authenticate, admit, make durable, deliver results."""

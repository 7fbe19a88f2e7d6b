"""Decides whether a provider may be called now: circuits and rate limits, for all replicas."""

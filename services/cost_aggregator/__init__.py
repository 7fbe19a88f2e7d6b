"""Writes the ledger, fires budget alerts, moves gates, and charges calls whose worker died."""

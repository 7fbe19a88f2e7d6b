"""What every service stands on: domain rules, message contracts, ports and their adapters."""

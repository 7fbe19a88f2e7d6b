"""Wire contracts: frozen, versioned, decodable for ever (`tests/contract/messages`)."""

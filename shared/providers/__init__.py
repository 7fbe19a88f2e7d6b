"""The providers' APIs behind the ports, and the files that say whom to ask at which price."""

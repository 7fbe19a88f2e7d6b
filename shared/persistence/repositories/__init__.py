"""All SQL, one module per aggregate; every public method is one commit."""

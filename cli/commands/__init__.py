"""One module per group of commands; each only translates between the terminal and the API."""

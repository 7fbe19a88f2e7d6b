"""Rules of the business, standard library only: the same in a test, a worker and a notebook."""

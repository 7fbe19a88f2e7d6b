"""The programs: one process per container, standing on `shared`, knowing nothing of each other."""

"""PostgreSQL behind the ports: the truth about jobs, attempts, money, gates and vectors."""

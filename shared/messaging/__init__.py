"""RabbitMQ: topology, brokers, publishing, acknowledgement, gates and the outbox relay."""

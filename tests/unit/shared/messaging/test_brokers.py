from datetime import timedelta

from shared.messaging.brokers import consume_broker, publish_broker


def test_connections_are_named_after_process_and_role_with_a_short_heartbeat() -> None:
    consume = consume_broker("amqp://u:p@host:1/v%2Fh?a=b", "api-1", timedelta(seconds=5))
    publish = publish_broker("amqp://u:p@host:1/v%2Fh", "api-1")
    (address,) = consume.specification.url
    assert "name=api-1-consume" in address
    assert "heartbeat=15" in address
    assert "a=b" in address
    (address,) = publish.specification.url
    assert "name=api-1-publish" in address

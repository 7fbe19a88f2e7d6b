import orjson

from services.api.openapi import document


def test_the_document_is_complete_without_broker_or_database() -> None:
    found = orjson.loads(document())
    schemas = found["components"]["schemas"]
    references = {
        part.split('"')[0]
        for part in orjson.dumps(found).decode().split('"#/components/schemas/')[1:]
    }
    assert references <= schemas.keys()
    assert "ChatJobBody" in references
    chat = found["paths"]["/v1/chat/jobs"]["post"]
    assert chat["security"] == [{"api_key": []}]
    assert chat["responses"].keys() == {"202", "4XX", "5XX"}
    assert {parameter["name"] for parameter in chat["parameters"]} == {"Idempotency-Key"}
    queues = found["paths"]["/v1/admin/queues"]["get"]
    assert queues["security"] == [{"api_key": []}]

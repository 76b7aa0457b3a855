"""A script with the official SDK; it knows nothing of daprflow."""

import json

from dapr.clients import DaprClient

with DaprClient() as client:
    order = json.dumps({"id": "7", "total": 5})
    client.publish_event("pubsub", "orders", order, data_content_type="application/json")
    answer = client.invoke_method("billing", "total", http_verb="POST")
    print(f"total {answer.text()}")

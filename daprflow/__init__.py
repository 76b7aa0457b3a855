"""Write Dapr services in Python as decorated functions; run them with nothing but pip."""

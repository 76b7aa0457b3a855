"""The program ``dapr`` that ``daprflow shim`` writes: the official command line, on daprflow."""

"""The workflow engine of the embedded sidecar: durable histories, run by workers that connect.

Whatever is in here is imported late: its messages take 0.2 s, which no start waits for.
"""

"""ASGI middleware and the process: limits, compression, metrics, traces, health, shutdown."""

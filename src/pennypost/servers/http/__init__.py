"""The loopback HTTP door: metrics and health.

settings  what can be set
pages     /metrics, /healthz, /readyz
door      uvicorn on our sockets, in our loop
"""

"""The loopback HTTP door: metrics and health.

settings  what can be set
pages     /metrics, /healthz, /readyz, the MTA-STS policy, settings of mail programs
door      uvicorn on our sockets, in our loop
"""

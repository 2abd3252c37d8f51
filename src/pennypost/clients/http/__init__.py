"""HTTP to others.

https       one request to a host whose address we asked the DNS for ourselves, within bounds
posting     requests to a service that the administrator named, over kept connections
"""

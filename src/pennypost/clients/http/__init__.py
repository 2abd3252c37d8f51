"""HTTPS to others: what outbound mail asks of the web.

https       one request to a host whose address we asked the DNS for ourselves, within bounds
"""

"""asyncio: listeners, connections, TLS contexts, timeouts.

connection  Connection: what every door reads from and writes to; how it ends
sockets     SocketConnection: over a transport, in clear or under TLS
memory      MemoryConnection: between two coroutines of one process
inbox       octets that arrived and were not read yet
alarm       a deadline that is cheap to move
tls_stream  TLS between octets in memory, no socket
tls         certificates and contexts, chosen by server name, reloaded when files change
self_signed a certificate for those who have none yet
listener    binds, counts, accepts, starts a handler for each connection, stops gracefully
resolver    Resolver: questions to the DNS, answered once for all who ask, and kept
dns_records dnspython's messages become answers
endpoint    where a listener listens, and where a server we ask is
outbound    connections that we make; client_tls: the contexts of their TLS
room        how much may be held in memory at the same time
settings    what can be set of all this
incident    how an unexpected exception is logged
"""

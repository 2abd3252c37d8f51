"""POP3: the door that carries between a connection and the rest of the server."""

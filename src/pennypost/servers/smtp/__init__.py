"""SMTP, submission and LMTP: the door that carries between a connection and the rest of the server."""

"""IMAP4rev2 and IMAP4rev1: the door that carries between a connection and the rest of the server."""

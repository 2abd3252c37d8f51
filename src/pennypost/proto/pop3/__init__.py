"""POP3: grammar and the server's state machine."""

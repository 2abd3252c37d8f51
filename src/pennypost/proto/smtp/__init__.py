"""SMTP, submission and LMTP: grammar and the server's state machine."""

"""IMAP4rev2 and IMAP4rev1: grammar and the server's state machine."""

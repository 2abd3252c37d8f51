"""POP3: the door that carries between a connection and the rest of the server.

door       Pop3Door: what all sessions of one worker share
session    one connection, from its greeting to its end
commands   what each command does
login      USER and PASS, AUTH: who it is, and whether the maildrop is free
maildrop   the INBOX as it was at login, its lock, and the UPDATE state
languages  what LANG offers
errors     the table from MailError to -ERR with a response code
settings   what an administrator can set
"""

"""IMAP4rev2 (RFC 9051) and IMAP4rev1 (RFC 3501): grammar and the server's state machine.

session         ImapServerSession: octets in any cut become events
events          what it gives, and how each is answered
states, limits  where a connection is; what a peer may make us hold
commands        one file per command: its dataclass and how its arguments are read; the table of all of them
reader          tokens of a command: atoms, strings, literals, names, sequence sets, flags
sequence, section, status_items, search_keys, search_syntax, flags, dates, mailbox_name, special_use
                pieces of the grammar, each with its types
responses       what the server says, as octets
"""

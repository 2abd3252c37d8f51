"""IMAP4rev2 and IMAP4rev1: the door that carries between a connection and the rest of the server.

door          ImapDoor: what all sessions of one worker share; `serve` is the listener's handler
session       Session: one connection from greeting to BYE
dispatch      command type -> handler
selected      Selected: an open mailbox as one session sees it, with its own sequence numbers
news          what others changed, told when the RFCs allow it
errors        MailError -> response code
settings      ImapSettings

One module for each command, named for it: `move` carries MOVE. What several share:
capabilities  what the server says it can do, by state
flag_text     flags as FETCH writes them
recent        which messages are recent here
records, sections, large   the values of FETCH
matching, message_text, search_result   the parts of SEARCH
patterns      the wildcards of LIST
transfer      COPY and MOVE
watch, interest, survey, watch_news   what NOTIFY asked for, and what is told of it
flag_change   STORE and FETCH, in one's own mailboxes and in others'
"""

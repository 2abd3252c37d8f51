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
finding       what SEARCH, SORT, THREAD and ESEARCH share: matching (by the snapshot), text_keys (by fields in memory,
              which columns has, and by the full-text index), message_text (by reading), object_ids, fuzzy, filters
search_result, ordering, contexts   telling what was found, sorting it, keeping it up to date
patterns      the wildcards of LIST
old_names     what CREATE, RENAME and DELETE say of names that were written otherwise
transfer      COPY and MOVE
watch, interest, survey, watch_news   what NOTIFY asked for, and what is told of it
flag_change   STORE and FETCH, in one's own mailboxes and in others'
"""

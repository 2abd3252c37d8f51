"""What is true: accounts, mailboxes, messages, blobs, queue, changes. SQL lives here and nowhere else.

What operations stand on
    engine        Transaction, Engine: what an operation may do, and who runs it
    store         Store: what a worker holds open; settings, notices between workers
    sqlite        the embedded engine
    migrations    the schema, in numbered files
    blobs         bodies by their hash: spool, blob_drafts (on their way in), blob_files, blob_parts (attachments),
                  collection (of what nobody needs); body_coding, dictionaries (how small ones are compressed)

Who we are
    directory     domains, accounts, aliases; credentials; resolve (where an address leads); keys (forms of names)
    throttle      delays and bans; leases: what only one may do at a time

What they have
    mailboxes     made, renamed, removed; names (which are allowed); counters
    messages      put in, read, expunged; transfer (COPY, MOVE); flags (STORE) over entry_columns, keywords; threads
    places        where a client's names lead: to mailboxes of its own or of others; acl (who may do what with whose),
                  seen (each reader's own), across (messages between accounts)
    view          open mailboxes as sessions see them, over snapshot, which follows the log
    changes       the log of what happened; sets (of numbers, as it writes them)
    search        full-text search, by an index beside the store; sort_columns: what SORT and THREAD order by, of
                  sort_values; field_pages: what clients list mailboxes by (choices); derived: all of these on disk;
                  read_ahead: rows of messages that a FETCH comes to next
    annotations   what is said about mailboxes (METADATA)
    quota         how much there may be; removal: taking away, in steps
    queue         what waits to be sent: dispatch (taking it, noting what came of it), queue_view (looking, by hand);
                  scheduled (copies of what is to be sent later); suppression (recipients that bounced); timeline (what
                  happened to each message), aftermath (what clients did to it)

Looking at it
    check         everything that should agree; stats: figures
"""

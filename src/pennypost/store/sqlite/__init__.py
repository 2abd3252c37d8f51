"""The embedded engine: SQLite through apsw, with group commit.

connection  one connection with our settings, and the transactions that run on it
lock        the fair lock that the writers of all processes pass
writer      the thread that commits groups of operations: the reason why it is fast
checkpoint  the thread that moves what was committed from the log into the database
reader      bounded reads on the event loop, unbounded ones on threads
migrate     bringing the schema up to what the program knows
engine      all of these as one `Engine`

side_file   a database beside the store that may be thrown away: search_index, derived_file
"""

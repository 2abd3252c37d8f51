"""What the server says, as octets: each function builds whole lines with their CRLF unless its name says otherwise.

text      strings, literals, mailbox names
codes     response codes
status    tagged responses, untagged OK NO BAD BYE PREAUTH, continuation requests
server    CAPABILITY, ENABLED, ID, NAMESPACE
mailbox   FLAGS, LIST, LSUB, STATUS, EXISTS, RECENT, EXPUNGE
search    SEARCH, ESEARCH, sets of numbers
fetch     FETCH: compiled formats, flags, bodies
quota     QUOTA, QUOTAROOT
"""

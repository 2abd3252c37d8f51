"""The nouns of the RFCs: frozen dataclasses, NewTypes, enums and the errors. No behaviour beyond them.

ids             what rows and messages are numbered with
address         Address, DomainName: an RFC 5321 Mailbox and where it lives
envelope        Envelope, Recipient: what SMTP says about a message
flags           system flags and keywords
mailbox         Mailbox, MailboxRole
rights          Rights on mailboxes, as letters and bits
account         Domain, Account, Alias, Credential as they are listed
authentication  what a SASL exchange asks and what it is answered
saslprep        the form in which user names and passwords are compared
dns             questions to the DNS and their answers
verification    results of SPF, DKIM, DMARC, ARC and iprev
relaying        what the queue hands to the relay, and what it hears back
peer            who is at the other end of a connection
units           octets and their written form
errors          MailError and its kin, ProtocolError, ConfigError
"""

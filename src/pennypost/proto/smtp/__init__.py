"""SMTP, submission and LMTP (RFC 5321, RFC 6409, RFC 2033): grammar and state machines. The server's side:

session     SmtpServerSession: octets in, events out, replies in, octets out
events      what it says has happened
states      the transition table
commands    the lines a client sends, verb by verb
path        reverse-path and forward-path
parameters  what follows a path: SIZE, BODY, NOTIFY …
text        the text of a message after DATA or BDAT
reply       Reply, and which MailError becomes which
offer       Offer: what EHLO announces and commands are held against
limits      how long things may be

The client's side:

client      SmtpClientSession: requests in, octets out, octets in, replies out
requests    what a client sends
replies     what it reads
announced   what EHLO told it
"""

from pennypost.proto.smtp.offer import Flavour, Offer
from pennypost.proto.smtp.reply import Reply, reply_for
from pennypost.proto.smtp.session import SmtpServerSession

__all__ = ["Flavour", "Offer", "Reply", "SmtpServerSession", "reply_for"]

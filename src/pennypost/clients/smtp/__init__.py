"""The client's driver of SMTP, submission and LMTP: what `mail.relay` sends messages with.

client    SmtpClient: one session over one connection
answers   what the other side said, and how a session fails
log_in    SASL as a client (RFC 4954)
pool      sessions that wait to be used again
oauth     access tokens, refreshed over HTTPS (RFC 6749)
settings  how long each step may take
"""

from pennypost.clients.smtp.answers import Answer, Said, SessionFailed, Stage, Transaction
from pennypost.clients.smtp.client import SmtpClient
from pennypost.clients.smtp.settings import SmtpTimeouts

__all__ = ["Answer", "Said", "SessionFailed", "SmtpClient", "SmtpTimeouts", "Stage", "Transaction"]

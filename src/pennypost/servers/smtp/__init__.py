"""The doors for mail that comes in: SMTP, submission, LMTP. They carry; `mail.receive` and `mail.submit` decide.

door          SmtpDoor: what a listener calls for each connection
session       one connection: events of the machine to their handlers, replies back
transaction   one message on its way in, and its line in the log
authenticate  AUTH
settings      SmtpSettings: what can be set
"""

from pennypost.servers.smtp.door import REFUSAL, SmtpDoor
from pennypost.servers.smtp.settings import BareCr, EarlyTalker, SmtpSettings

__all__ = ["REFUSAL", "BareCr", "EarlyTalker", "SmtpDoor", "SmtpSettings"]

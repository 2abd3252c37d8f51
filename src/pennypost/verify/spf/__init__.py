"""Say whether a host may send mail in the name of a domain: the Sender Policy Framework (RFC 7208).

- `record`: what a record says, and whether it says it well.
- `macros`: names that depend on who sends what.
- `evaluate`: which mechanism matches a client, asking the DNS on the way.
"""

from pennypost.verify.spf.evaluate import Sender, check_host, verify_helo, verify_mail_from

__all__ = ["Sender", "check_host", "verify_helo", "verify_mail_from"]

"""Say whether the domain in From stands behind a message, and what its owner wants done otherwise: DMARC (RFC 9989).

- `record`: what a policy record says.
- `author`: whose domain it is about.
- `tree`: where the record is, and which domain an organization has (the DNS tree walk).
- `evaluate`: alignment, the result, the policy that applies.
- `report`: aggregate reports (RFC 9990), written and read.
- `destinations`: who may be sent a report.
"""

from pennypost.verify.dmarc.author import Author, Forgery, find_author
from pennypost.verify.dmarc.evaluate import verify, verify_all
from pennypost.verify.dmarc.record import PolicyRecord, parse

__all__ = ["Author", "Forgery", "PolicyRecord", "find_author", "parse", "verify", "verify_all"]

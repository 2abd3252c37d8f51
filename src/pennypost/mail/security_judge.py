"""What TLS a host found by MX records has to have."""

from pennypost.mail.routing import Exchangers, HostAddresses
from pennypost.mail.transport_security import HostSecurity, Proof


class SecurityJudge:
    """Decides for each host."""

    async def judge(
        self, domain: str, exchangers: Exchangers, host: str, where: HostAddresses, port: int
    ) -> HostSecurity:
        """Say what is asked of a host. Raises MailError when it must not be used at all."""
        return HostSecurity(Proof.OPPORTUNISTIC, trusted_name=exchangers.authentic)

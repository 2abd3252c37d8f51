"""What an administrator can set about the verification of senders."""

from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network

from pennypost.model.bounds import bounded, positive_times


@dataclass(frozen=True, slots=True)
class VerificationSettings:
    """How it is found out who really sent a message, and what follows."""

    enabled: bool = True
    """Whether SPF, DKIM, DMARC, ARC and iprev are evaluated for mail from other servers."""

    exempt: tuple[IPv4Network | IPv6Network, ...] = ()
    """Networks whose mail is not checked at all: our own hosts. Loopback is not among them by itself."""

    authserv_id: str = ""
    """Who we say we are in Authentication-Results (RFC 8601 §2.5). Empty: the host name."""

    refuse_by_dmarc: bool = True
    """Whether mail that fails DMARC is refused where the author's domain asks for that (p=reject); else it goes to
    Junk."""

    quarantine_by_dmarc: bool = True
    """Whether mail that fails DMARC goes to Junk where the author's domain asks for that (p=quarantine)."""

    defer_unverifiable: bool = True
    """Whether mail is put off when the DNS fails and the author's domain is known to want forgeries refused or put into
    Junk."""

    refuse_spf_fail: bool = False
    """Whether mail is refused when SPF says that the host may not send for the domain, whatever DMARC says. Breaks
    forwarding."""

    refuse_several_authors: bool = True
    """Whether a message with more than one From field is refused (RFC 5322 §3.6 has it once)."""

    trusted_forwarders: tuple[IPv4Network | IPv6Network, ...] = ()
    """Networks of forwarders and mailing lists that are taken at their word: their mail is not refused by DMARC."""

    trusted_sealers: tuple[str, ...] = ()
    """Domains whose ARC seals are believed: mail that passed DMARC where it came to them is not refused by it here."""

    ignored_domains: tuple[str, ...] = ()
    """Author domains whose DMARC policy is not applied, with what is below them."""

    bimi: bool = True
    """Whether the BIMI record of domains that pass DMARC is looked up, and written down."""

    max_questions: int = 100
    """Questions to the DNS for one message. Past it an answer counts as failed. A third is kept for the policy of the
    author's domain."""

    time: timedelta = timedelta(seconds=8)
    """How long all questions for one message may take together, those about the author's policy a third as long again.
    Past it an answer counts as failed. RFC 7208 §4.6.4 would have us wait for 20 s."""

    report: bool = True
    """Whether aggregate reports are sent to domains that ask for them (RFC 9990)."""

    report_failures: bool = False
    """Whether domains that ask for it are told of single messages that fail DMARC (RFC 9991): the header without what
    names recipients, never the body."""

    report_sender: str = ""
    """The address reports come from; empty: postmaster at the first domain of ours."""

    report_organization: str = ""
    """Who reports say they are from; empty: the host name."""

    report_addresses: tuple[str, ...] = ("dmarc-reports",)
    """Local parts, in any domain of ours, at which the aggregate reports of others arrive: they are read, and shown by
    `pennypost reports dmarc`. The mail itself goes where the address leads."""

    report_memory: timedelta = timedelta(days=90)
    """How long reports of others are kept."""

    def __post_init__(self) -> None:
        bounded(self, "max_questions", least=10)
        positive_times(self, "time")
        if self.report_sender and self.report_sender.count("@") != 1:
            raise ValueError('report_sender: expected an address, as "postmaster@example.org"')

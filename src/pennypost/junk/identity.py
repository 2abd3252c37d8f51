"""What is known of who sent a message says for or against it."""

from collections.abc import Iterator

from pennypost.junk.evidence import Evidence
from pennypost.model.verification import (
    ArcResult,
    ArcVerdict,
    DkimResult,
    DkimVerdict,
    DmarcPolicy,
    DmarcResult,
    DmarcVerdict,
    IprevResult,
    IprevVerdict,
    SpfResult,
    SpfVerdict,
)

_SPF = {
    SpfResult.FAIL: (1.5, "The domain it claims to come from says that this host may not send for it."),
    SpfResult.SOFTFAIL: (0.7, "The domain it claims to come from does not expect this host to send for it."),
    SpfResult.PERMERROR: (0.3, "The domain it claims to come from has rules for its hosts that make no sense."),
    SpfResult.PASS: (-0.2, "The domain it comes from says that this host may send for it."),
}


def identity(
    spf: SpfVerdict | None,
    dkim: tuple[DkimVerdict, ...],
    dmarc: DmarcVerdict | None,
    arc: ArcVerdict | None,
    iprev: IprevVerdict | None,
) -> Iterator[Evidence]:
    """Weigh what SPF, DKIM, DMARC, ARC and the name of the peer's address say. None: it was not looked at."""
    if spf is not None and spf.result in _SPF:
        weight, sentence = _SPF[spf.result]
        yield Evidence(f"spf-{spf.result.value}", weight, sentence)
    if dkim:
        held = [one for one in dkim if one.result is DkimResult.PASS and not one.partial]
        if held:
            yield Evidence("dkim-pass", -0.3, f"It is signed by {held[0].domain}, and the signature holds.")
        elif any(one.partial for one in dkim):
            yield Evidence(
                "dkim-partial", 2.0, "Its signature holds for the beginning only: the rest may be anybody's."
            )
        elif any(one.result is DkimResult.FAIL for one in dkim):
            yield Evidence("dkim-fail", 0.5, "It is signed, but was changed on its way.")
    if dmarc is not None:
        yield from _dmarc(dmarc, arc)
    if iprev is not None and iprev.result is IprevResult.FAIL:
        yield Evidence("no-host-name", 1.0, "The host it came from has no name that leads back to it.")


def _dmarc(dmarc: DmarcVerdict, arc: ArcVerdict | None) -> Iterator[Evidence]:
    if dmarc.result is DmarcResult.PASS:
        yield Evidence("dmarc-pass", -0.5, f"It is really from {dmarc.from_domain}.")
    elif dmarc.result is DmarcResult.FAIL:
        weight = {DmarcPolicy.NONE: 1.0, DmarcPolicy.QUARANTINE: 3.5, DmarcPolicy.REJECT: 5.0}[dmarc.policy]
        if arc is not None and arc.result is ArcResult.PASS:
            weight /= 2
        yield Evidence("dmarc-fail", weight, f"Nothing shows that it is from {dmarc.from_domain}, as it says it is.")

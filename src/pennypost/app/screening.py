"""Who is asked about incoming mail, as the configuration says."""

from collections.abc import Callable, Iterator
from datetime import datetime

from pennypost.app.figures import SCREENER_KINDS, SCREENING_OUTCOMES, Figures
from pennypost.clients.clamav import Clamav
from pennypost.clients.dns_list import DnsList
from pennypost.clients.http_hook import HttpHook
from pennypost.clients.milter import Milter
from pennypost.clients.rspamd import Rspamd
from pennypost.clients.screening.guard import Guard, Observer
from pennypost.clients.screening.shape import Screener
from pennypost.mail.screening import Screeners
from pennypost.mail.screening_settings import ScreeningSettings
from pennypost.net.client_tls import ClientTls
from pennypost.net.resolver import Resolver
from pennypost.net.settings import TlsSettings


def make_screeners(
    settings: ScreeningSettings, resolver: Resolver, tls: TlsSettings, clock: Callable[[], datetime], figures: Figures
) -> Screeners | None:
    """Make all who are to be asked by one worker; None when nobody is."""
    observe = screening_observer(figures)
    open_now = {kind: figures.counter("pennypost_screeners_open", kind) for kind in SCREENER_KINDS}
    guards = [
        Guard(screener, observe, lambda kind, amount: open_now[kind].add(amount))
        for screener in _screeners(settings, resolver, tls, clock)
    ]
    return Screeners(guards, settings.exempt) if guards else None


def _screeners(
    settings: ScreeningSettings, resolver: Resolver, tls: TlsSettings, clock: Callable[[], datetime]
) -> Iterator[Screener]:
    if settings.clamav.address is not None:
        yield Clamav(settings.clamav)
    if settings.rspamd.address is not None:
        yield Rspamd(settings.rspamd)
    for one in settings.dns_lists:
        yield DnsList(one, resolver)
    trust = ClientTls(tls)
    for hook in settings.http_hooks:
        yield HttpHook(hook, trust.verified, clock)
    for milter in settings.milters:
        yield Milter(milter)


def screening_observer(figures: Figures) -> Observer:
    """Count how questions to others ended, and how long they took."""
    counters = {
        (kind, outcome): figures.counter("pennypost_screenings", kind, outcome)
        for kind in SCREENER_KINDS
        for outcome in SCREENING_OUTCOMES
    }
    times = {kind: figures.histogram("pennypost_screening_seconds", kind) for kind in SCREENER_KINDS}

    def observe(kind: str, outcome: str, seconds: float) -> None:
        counters[kind, outcome].add()
        times[kind].observe(seconds)

    return observe

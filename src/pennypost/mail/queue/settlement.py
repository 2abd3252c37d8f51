"""Writing down what came of an attempt: one transaction for rows, reports, suppression and timeline."""

from collections.abc import Sequence

from pennypost.mail import bounce
from pennypost.mail.bounce import Action, Fate, Original
from pennypost.mail.queue.settings import QueueSettings
from pennypost.mail.queue.suppressing import GONE_STATUSES, concerns
from pennypost.mail.queue.verdict import Verdict
from pennypost.mail.signing import Signer
from pennypost.model.ids import QueuedId
from pennypost.model.relaying import RecipientResult, RelayState
from pennypost.net.incident import log_incident
from pennypost.store import dispatch, sending, suppression, timeline
from pennypost.store.blob_files import DamagedFile
from pennypost.store.engine import Transaction
from pennypost.store.queue import QueuedMessage
from pennypost.store.sending import Counts
from pennypost.store.store import Store
from pennypost.store.timeline import EventKind


class Clerk:
    """Writes verdicts down. Its methods are operations of the store. `signer`: signs reports, or None."""

    def __init__(self, store: Store, settings: QueueSettings, hostname: str, signer: Signer | None = None) -> None:
        self._store = store
        self._signer = signer
        self._settings = settings
        self._hostname = hostname

    async def write(
        self,
        tx: Transaction,
        holder: str,
        queued: QueuedId,
        message: QueuedMessage,
        verdict: Verdict,
        results: Sequence[RecipientResult],
        hop: str,
    ) -> None:
        """Settle one message for some of its recipients. What is not leased to `holder` any more is another's to
        settle: it is left alone, and not reported."""
        lost = set()
        for delivery in verdict.gone:
            if not await dispatch.finish(tx, holder, delivery.id):
                lost.add(delivery.id)
        for deferral in verdict.deferred:
            if not await dispatch.defer(tx, holder, deferral):
                lost.add(deferral.id)
        await self._record(tx, queued, message, verdict, results, hop)
        fates = [fate for delivery, fate in verdict.fates if delivery.id not in lost]
        if fates:
            await self._report(tx, message, fates)
        mode, priority = self._settings.suppress, message.envelope.priority
        if verdict.bounced and concerns(mode, priority=priority, header=message.header):
            for delivery, address, reply in verdict.bounced:
                if delivery.id not in lost and _is_gone(address.key, results):
                    await suppression.suppress(tx, address, reply)
        if verdict.gone:
            await dispatch.drop_if_done(tx, queued)

    async def _report(self, tx: Transaction, message: QueuedMessage, fates: Sequence[Fate]) -> None:
        bounced = sum(fate.action is Action.FAILED for fate in fates)
        if bounced and message.account is not None:
            await sending.count(tx, message.account, Counts(bounces=bounced))
        for action in Action:
            told = [fate for fate in fates if fate.action is action]
            if not told:
                continue
            wanted = [fate for fate in told if bounce.wants(fate.recipient, action)]
            facts: dict[str, object] = {"action": action.value, "recipients": [str(f.recipient.address) for f in told]}
            if wanted and message.envelope.reverse_path is not None:
                full = bounce.returned_body(message.envelope, action, message.size, self._settings.return_size)
                body = await self._body(tx, message) if full else None
                original = Original(message.envelope, message.header, body, message.created_at, message.released_at)
                posted = await bounce.post(
                    tx, self._store, self._hostname, original, wanted, message.trace, self._signer
                )
                facts["to"] = str(message.envelope.reverse_path)
                facts["stored"] = list(posted.stored)
                if posted.problem is not None:
                    facts["problem"] = posted.problem
            elif action is Action.FAILED:
                facts["problem"] = "nobody wants to hear of it"
            else:
                continue
            await timeline.record(tx, message.trace, EventKind.REPORTED, facts)

    async def _body(self, tx: Transaction, message: QueuedMessage) -> bytes | None:
        """Give what is returned: nothing, where the store has lost it: the sender is to hear all the same."""
        try:
            return await self._store.blobs.read(tx, message.blob)
        except (DamagedFile, OSError) as problem:
            log_incident("queue.report", problem, blob=message.blob)
            return None

    async def _record(
        self,
        tx: Transaction,
        queued: QueuedId,
        message: QueuedMessage,
        verdict: Verdict,
        results: Sequence[RecipientResult],
        hop: str,
    ) -> None:
        if not results:
            return
        facts = facts_of(queued, hop, results)
        if verdict.deferred:
            facts["next"] = verdict.deferred[0].next_attempt_at.isoformat(timespec="seconds")
        await timeline.record(tx, message.trace, EventKind.ATTEMPTED, facts)


def facts_of(queued: QueuedId | None, hop: str, results: Sequence[RecipientResult]) -> dict[str, object]:
    """Give what the timeline tells of an attempt. `queued`: None for one that needed no place in the queue."""
    facts: dict[str, object] = {"hop": hop} if queued is None else {"queue": f"q{queued}", "hop": hop}
    tls = results[0].tls
    if tls is not None:
        facts["tls"] = f"{tls.version} {tls.cipher} {tls.authenticated_by}".rstrip()
    facts["results"] = [[str(r.recipient.address), r.state.value, r.status, r.reply, r.remote] for r in results]
    return facts


def _is_gone(key: str, results: Sequence[RecipientResult]) -> bool:
    return any(
        result.recipient.address.key == key and result.state is RelayState.FAILED and result.status in GONE_STATUSES
        for result in results
    )

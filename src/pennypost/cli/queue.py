"""`pennypost queue`."""

import secrets
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from functools import partial, update_wrapper
from typing import Any, Protocol

import click

from pennypost.cli.asking import confirm
from pennypost.cli.options import Command, Loaded, as_json, configured, fail
from pennypost.cli.output import Record, show_record, show_records
from pennypost.cli.parameters import address as address_
from pennypost.cli.parameters import between, domain_, shown
from pennypost.cli.running import find_account, read, with_store
from pennypost.mail.queue import by_hand
from pennypost.mail.queue import recall as recalling
from pennypost.mail.queue.recall import Recalled
from pennypost.mail.queue.settlement import Clerk
from pennypost.mail.signing import Signer
from pennypost.message import headers
from pennypost.message.words import decode_words
from pennypost.model.ids import DeliveryId, QueuedId
from pennypost.store import queue as queued_messages
from pennypost.store import queue_view
from pennypost.store.engine import Transaction
from pennypost.store.queue import DeliveryState
from pennypost.store.queue_view import Delivery, Filter
from pennypost.store.store import Store
from pennypost.store.timeline import trace_id

AT_A_TIME = 500
"""Deliveries that are changed by one transaction."""

_STATES = {state.name.lower(): state for state in DeliveryState}


@click.group()
def queue() -> None:
    """Look at the queue of mail for other hosts, and act on it. Works while the server runs."""


class _Number(click.ParamType[QueuedId]):
    """A queue number, "17" or "q17"."""

    name = "ID"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> QueuedId:
        digits = value.removeprefix("q")
        if not digits.isascii() or not digits.isdigit() or len(digits) > 18:
            self.fail(f'expected the number of a queued message, as "q17", not {shown(value)}', param, ctx)
        return QueuedId(int(digits))


def _sender(text: str) -> str:
    return address_(text) if text else ""


def _filtered(command: Command) -> Command:
    """Add the options that choose deliveries; the command gets a list of Filters, one for each ID or one in all."""

    def wrapper(
        loaded: Loaded,
        ids: tuple[QueuedId, ...],
        sender: str | None,
        recipient: str | None,
        domain: str | None,
        destination: str | None,
        state: str | None,
        account: str | None,
        **arguments: Any,
    ) -> Any:
        states = _STATES[state] if state is not None else None
        owner = None if account is None else read(loaded, lambda tx: find_account(tx, account)).id
        filters = [Filter(one, sender, recipient, domain, destination, states, owner) for one in ids or (None,)]
        return command(loaded, filters, **arguments)

    wrapped: Command = update_wrapper(wrapper, command)
    wrapped = click.argument("ids", nargs=-1, type=_Number())(wrapped)
    wrapped = click.option("--account", metavar="ADDRESS", help="That this account has submitted.")(wrapped)
    wrapped = click.option("--state", type=click.Choice(list(_STATES)), help="In this state only.")(wrapped)
    wrapped = click.option("--destination", help="That go there next, as `queue count` names it.")(wrapped)
    wrapped = click.option("--domain", type=domain_, help="To recipients of this domain.")(wrapped)
    wrapped = click.option("--recipient", type=address_, help="To this address.")(wrapped)
    return click.option("--sender", type=_sender, help='From this address; "" is the null reverse-path of reports.')(
        wrapped
    )


@queue.command("list")
@configured
@_filtered
@click.option(
    "--limit", type=between(1, 2**31), default=1000, show_default=True, help="Recipients to list at the most."
)
@as_json
def list_(loaded: Loaded, filters: list[Filter], limit: int, as_json: bool) -> None:
    """List what waits, one line for each recipient: all, messages by ID, or what fits the options."""

    async def look(tx: Transaction) -> list[Delivery]:
        found: list[Delivery] = []
        for wanted in filters:
            found += await queue_view.deliveries(tx, wanted, limit=limit - len(found))
        return found

    records = [_line(delivery) for delivery in read(loaded, look)]
    empty = "nothing is queued" if filters == [Filter()] else "nothing that is queued fits"
    show_records(records, as_json=as_json, empty=empty)


def _line(d: Delivery) -> Record:
    return {
        "id": f"q{d.queued}",
        "sender": f"<{d.reverse_path or ''}>",
        "recipient": str(d.recipient.address),
        "destination": d.hop,
        "state": d.state.name.lower(),
        "attempts": d.attempts,
        "next_attempt": _time(d.next_attempt_at) if d.state is DeliveryState.DEFERRED else None,
        "came": _time(d.created_at),
        "size": d.size,
        "reply": d.last_reply,
    }


def _time(instant: datetime | None) -> str | None:
    return None if instant is None else instant.isoformat(timespec="seconds")


@queue.command("show")
@configured
@click.argument("number", metavar="ID", type=_Number())
@as_json
def show(loaded: Loaded, number: QueuedId, as_json: bool) -> None:
    """Show one message: its header, and how it stands with each recipient. Its body is not shown."""

    async def look(tx: Transaction) -> tuple[queued_messages.QueuedMessage | None, list[Delivery]]:
        message = await queued_messages.message(tx, number, recipients=False)
        return message, await queue_view.deliveries(tx, Filter(queued=number), limit=10_000)

    message, deliveries = read(loaded, look)
    if message is None:
        fail(f"no message q{number} is queued: pennypost trace q{number} tells what became of it")
    envelope = message.envelope
    subject = headers.value(message.header, b"subject")
    record = {
        "id": f"q{number}",
        "trace": trace_id(message.trace) if message.trace else None,
        "sender": f"<{envelope.reverse_path or ''}>",
        "subject": decode_words(subject) if subject is not None else None,
        "message_id": (headers.value(message.header, b"message-id") or b"").decode("utf-8", "replace") or None,
        "size": message.size,
        "came": _time(message.created_at),
        "priority": envelope.priority,
        "require_tls": envelope.require_tls,
    }
    recipients = [{k: v for k, v in _line(d).items() if k not in ("id", "sender", "came", "size")} for d in deliveries]
    if as_json:
        show_record(
            record | {"header": message.header.decode("utf-8", "replace"), "recipients": recipients}, as_json=True
        )
        return
    show_record(record, as_json=False)
    click.echo()
    show_records(recipients, as_json=False)


@queue.command("count")
@configured
@click.option("--by", type=click.Choice(["destination", "reason"]), default="destination", show_default=True)
@as_json
def count(loaded: Loaded, by: str, as_json: bool) -> None:
    """Count what waits and how old it is, by destination or by the last reply; what slows a destination down."""
    if by == "reason":
        reasons = read(loaded, queue_view.by_reason)
        records: list[Record] = [
            {"deliveries": total, "oldest": _time(oldest), "reason": reply or None} for reply, total, oldest in reasons
        ]
    else:
        records = [
            {
                "destination": c.hop,
                "deliveries": c.deliveries,
                "ready": c.ready,
                "deferred": c.deferred,
                "held": c.held,
                "oldest": _time(c.oldest),
                "next_attempt": _time(c.next_attempt_at),
                "connections": c.connections,
                "left_alone_until": _time(c.held_until),
                "slowed_by": c.pace,
                "reason": c.reason,
            }
            for c in read(loaded, queue_view.by_hop)
        ]
    show_records(records, as_json=as_json, empty="nothing is queued")


# -- Acting on it


class Act(Protocol):
    """An operation on some deliveries; gives those that it changed."""

    def __call__(self, tx: Transaction, chosen: Sequence[Delivery]) -> Awaitable[list[Delivery]]: ...


def _act(loaded: Loaded, filters: list[Filter], everything: bool, make: Callable[[Store], Act], done: str) -> None:
    """Act on what fits, some hundred in each transaction, and say how many that were."""
    if filters == [Filter()] and not everything:
        raise click.UsageError("say which messages: by ID, by an option, or --all")

    async def work(store: Store) -> tuple[int, int]:
        act, changed, seen = make(store), 0, 0
        for wanted in filters:
            after: DeliveryId | None = None
            while chosen := await store.scan(
                partial(queue_view.deliveries, wanted=wanted, after=after, limit=AT_A_TIME)
            ):
                changed += len(await store.write_large(partial(act, chosen=chosen)))
                seen += len(chosen)
                after = chosen[-1].id
        return changed, seen

    changed, seen = with_store(loaded, work)
    click.echo(f"{changed} {'recipient' if changed == 1 else 'recipients'} {done}")
    if seen == 0:
        fail("nothing that is queued fits")


_all = click.option("--all", "everything", is_flag=True, help="All that is queued.")


def _changes(word: str) -> Callable[[Store], Act]:
    def make(_: Store) -> Act:
        return lambda tx, chosen: by_hand.change(tx, word, chosen)

    return make


@queue.command("hold")
@configured
@_filtered
@_all
def hold(loaded: Loaded, filters: list[Filter], everything: bool) -> None:
    """Let mail wait until it is released. What is being sent now is not held."""
    _act(loaded, filters, everything, _changes("held"), "held")


@queue.command("release")
@configured
@_filtered
@_all
def release(loaded: Loaded, filters: list[Filter], everything: bool) -> None:
    """Let mail that was held be sent now."""
    _act(loaded, filters, everything, _changes("released"), "released")


@queue.command("retry")
@configured
@_filtered
@_all
def retry(loaded: Loaded, filters: list[Filter], everything: bool) -> None:
    """Send mail now that waits for its time, also to a destination that is left alone."""
    _act(loaded, filters, everything, _changes("sent now"), "to be sent now")


@queue.command("remove")
@configured
@_filtered
@_all
@click.option("--yes", is_flag=True, help="Do not ask.")
def remove(loaded: Loaded, filters: list[Filter], everything: bool, yes: bool) -> None:
    """Take mail out of the queue without telling its sender. `recall` is what a sender does himself."""
    if not yes:
        confirm("Remove this mail, and tell nobody?")
    _act(loaded, filters, everything, _changes("removed"), "removed")


@queue.command("recall")
@configured
@click.argument("number", metavar="ID", type=_Number())
@click.option("--account", required=True, metavar="ADDRESS", help="Whose message it is; another's is not touched.")
def recall(loaded: Loaded, number: QueuedId, account: str) -> None:
    """Take a message back for its sender before it leaves: it lies among his drafts then.

    A user does the same with a message that is to be sent later by moving it out of the mailbox "Scheduled".
    """

    async def work(store: Store) -> Recalled | None:
        owner = await store.read(lambda tx: find_account(tx, account))
        return await store.write_large(lambda tx: recalling.recall(tx, store, owner.id, number))

    taken = with_store(loaded, work)
    if taken is None:
        fail(f"no message q{number} of {account} is queued")
    for address in taken.under_way:
        click.echo(f"{address}: it is being sent at this moment")
    if not taken.recipients:
        fail("nothing could be taken back")
    for address in taken.recipients:
        click.echo(f"{address}: taken back")
    click.echo(f"the message is in {taken.mailbox}")


@queue.command("bounce")
@configured
@_filtered
@_all
@click.option("--reason", default=by_hand.RETURNED, show_default=True, help="What the sender is told.")
def bounce(loaded: Loaded, filters: list[Filter], everything: bool, reason: str) -> None:
    """Give mail up, and return it to its sender."""
    config = loaded.config
    holder = f"cli-{secrets.token_hex(6)}"

    def make(store: Store) -> Act:
        clerk = Clerk(store, config.queue, config.server.own_hostname, Signer(store, config.dkim))
        return lambda tx, chosen: by_hand.bounce(tx, clerk, holder, chosen, reason)

    _act(loaded, filters, everything, make, "returned")

"""Which door stands behind each listener."""

from collections.abc import Mapping
from dataclasses import dataclass

from pennypost.app.config.settings import Config
from pennypost.app.figures import Figures
from pennypost.app.inbound import Inbound
from pennypost.app.measured import MeasuredIntake
from pennypost.mail.authenticate import Authenticator
from pennypost.mail.post import Post
from pennypost.mail.receive import Receiver
from pennypost.mail.submit import Submitter
from pennypost.net.listener import Handler
from pennypost.proto.smtp import Flavour
from pennypost.servers.imap.door import REFUSAL as IMAP_REFUSAL
from pennypost.servers.imap.door import ImapDoor
from pennypost.servers.pop3.door import REFUSAL as POP3_REFUSAL
from pennypost.servers.pop3.door import Pop3Door
from pennypost.servers.smtp.door import REFUSAL as SMTP_REFUSAL
from pennypost.servers.smtp.door import SmtpDoor
from pennypost.store.store import Store


@dataclass(frozen=True, slots=True)
class Door:
    """What serves the connections of one listener. `refusal`: what one too many is told. `for_strangers`: nobody logs
    in there."""

    handler: Handler
    refusal: bytes
    implicit_tls: bool = False
    for_strangers: bool = False


def make_doors(
    config: Config, post: Post, authenticator: Authenticator, figures: Figures, inbound: Inbound
) -> Mapping[str, Door]:
    """Make the doors of one worker, by the name of their listener."""
    return (
        smtp_doors(config, post, authenticator, figures, inbound)
        | imap_doors(config, post, authenticator)
        | pop3_doors(config, post.store, authenticator)
    )


def smtp_doors(
    config: Config, post: Post, authenticator: Authenticator, figures: Figures, inbound: Inbound
) -> dict[str, Door]:
    """Make the doors for incoming mail."""
    settings, hostname = config.smtp_settings, post.hostname
    defence = inbound.defence
    receive_all = Receiver(
        post,
        defence,
        inbound.verifier,
        inbound.feedback,
        inbound.judge,
        inbound.screeners,
        config.screening.held_mailbox,
    )
    receiver = MeasuredIntake(receive_all, figures, "smtp")
    local = MeasuredIntake(Receiver(post), figures, "lmtp")
    submitter = MeasuredIntake(Submitter(post), figures, "submission")
    receive = SmtpDoor(Flavour.SMTP, receiver, settings, hostname, defence=defence)
    deliver = SmtpDoor(Flavour.LMTP, local, settings, hostname)
    held = config.queue.max_future_release
    submit = SmtpDoor(Flavour.SUBMISSION, submitter, settings, hostname, authenticator, defence, max_hold=held)
    return {
        "smtp": Door(receive.handler, SMTP_REFUSAL, for_strangers=True),
        "lmtp": Door(deliver.handler, SMTP_REFUSAL),
        "submission": Door(submit.handler, SMTP_REFUSAL),
        "submissions": Door(submit.handler, SMTP_REFUSAL, implicit_tls=True),
    }


def imap_doors(config: Config, post: Post, authenticator: Authenticator) -> dict[str, Door]:
    """Make the doors through which mail clients read, in clear with STARTTLS and under TLS: one, since views of open
    mailboxes are shared by all its sessions."""
    door = ImapDoor(
        post.store,
        authenticator,
        post.preparer,
        config.imap_settings,
        max_message_size=config.delivery.max_message_size,
    )
    return {
        "imap": Door(door.handler, IMAP_REFUSAL),
        "imaps": Door(door.handler, IMAP_REFUSAL, implicit_tls=True),
    }


def pop3_doors(config: Config, store: Store, authenticator: Authenticator) -> dict[str, Door]:
    """Make the doors for POP3."""
    door = Pop3Door(store, authenticator, config.pop3_settings)
    return {
        "pop3": Door(door.handler, POP3_REFUSAL),
        "pop3s": Door(door.handler, POP3_REFUSAL, implicit_tls=True),
    }

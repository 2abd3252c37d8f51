"""The command and its groups. Exit status: 0 it worked, 1 it failed (one line says why), 2 it was called wrongly."""

from importlib import import_module

import click
from click.exceptions import NoSuchCommand

from pennypost import __version__

_COMMANDS = {
    "serve": ("pennypost.cli.serve", "serve", "Run the mail server."),
    "domain": ("pennypost.cli.domain", "domain", "Manage the domains whose mail is ours."),
    "account": ("pennypost.cli.account", "account", "Manage the accounts: who has mailboxes here."),
    "alias": ("pennypost.cli.alias", "alias", "Manage the aliases: addresses whose mail goes elsewhere."),
    "app-password": ("pennypost.cli.app_password", "app_password", "Manage app passwords, one for each program."),
    "verify": ("pennypost.cli.verify", "verify", "Say what is thought of the sender of a message in a file."),
    "ban": ("pennypost.cli.ban", "ban", "Keep networks and sender domains out, or let them in."),
    "dns": ("pennypost.cli.dns", "dns", "Say what our domains have to publish."),
    "doctor": ("pennypost.cli.doctor", "doctor", "Find out what keeps a domain's mail from going through."),
    "dkim": ("pennypost.cli.dkim", "dkim", "Manage the keys that sign mail of our domains."),
    "junk": ("pennypost.cli.junk", "junk", "Teach what is wanted mail, and see why a message is not."),
    "queue": ("pennypost.cli.queue", "queue", "Look at the queue of mail for other hosts, and act on it."),
    "suppression": ("pennypost.cli.suppression", "suppression", "Manage the recipients that bounced for good."),
    "trace": ("pennypost.cli.trace", "trace", "Tell what happened to a message, step by step."),
    "mailbox": ("pennypost.cli.mailbox", "mailbox", "Look at mailboxes, and say who may see them."),
    "shared": ("pennypost.cli.shared", "shared", "Manage mailboxes that several people use."),
    "store": ("pennypost.cli.store", "store", "Check the store and count what it holds."),
    "search": ("pennypost.cli.search", "search", "See how far messages are indexed, or index them anew."),
    "relay": ("pennypost.cli.relay", "relay", "Show what is remembered of how other domains take mail."),
    "reports": ("pennypost.cli.reports", "reports", "Show what other hosts report on our mail."),
    "demo": ("pennypost.cli.demo", "demo", "Show a running server with two accounts and a message."),
    "config": ("pennypost.cli.config", "config", "Check and show the configuration."),
}
"""Where each command is and what it is for: `pennypost --help` imports none of them."""


class _LazyGroup(click.Group):
    """Imports a command when it is called."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, which knows of imported commands only when it says what may have been meant."""
        if args[0] not in _COMMANDS and not args[0].startswith("-"):
            raise NoSuchCommand(args[0], possibilities=_COMMANDS, ctx=ctx)
        return super().resolve_command(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, name, _ = _COMMANDS[cmd_name]
        command = getattr(import_module(module), name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, purpose) for name, (_, _, purpose) in _COMMANDS.items()])


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="pennypost")
def main() -> None:
    """Pennypost: a complete mail server in one program."""

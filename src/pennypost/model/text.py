"""Text that was chosen by others, made fit to be shown."""


def printable(text: str) -> str:
    """Make text one line that is harmless, with "?" for what cannot be shown. Much of what is told was chosen by
    strangers (Message-IDs, reports, what hosts say): it must not give orders to a terminal, nor look like lines of
    ours."""
    return "".join(c if c.isprintable() else "?" for c in text)

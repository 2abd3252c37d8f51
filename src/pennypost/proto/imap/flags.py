"""Flags and keywords between octets and the model (RFC 9051 §2.3.2)."""

from collections.abc import Iterable
from dataclasses import dataclass

from pennypost.model.flags import FLAG_NAMES, Flags, Keywords

_BY_NAME: dict[bytes, Flags] = {name.encode("ascii").upper(): flag for flag, name in FLAG_NAMES.items()}


@dataclass(frozen=True, slots=True)
class FlagList:
    """Flags as a client lists them. `keywords`: case as it came, no doubles, sorted without regard to case."""

    flags: Flags
    keywords: Keywords


def flag_list(names: Iterable[bytes]) -> FlagList:
    r"""Sort names into system flags and keywords. Raises ValueError: `\Recent` is not for clients to set (RFC 3501
    §2.3.2), and there are no system flags but those of RFC 9051 §2.3.2."""
    flags = Flags.NONE
    keywords: dict[str, str] = {}
    for name in names:
        if name[0] != 0x5C:
            text = name.decode("ascii")
            keywords.setdefault(text.casefold(), text)
            continue
        flag = _BY_NAME.get(name.upper())
        if flag is None:
            if name.upper() == b"\\RECENT":
                raise ValueError("\\Recent cannot be set")
            raise ValueError(f"expected {', '.join(FLAG_NAMES.values())}, or a keyword without a backslash")
        flags |= flag
    return FlagList(flags, tuple([keywords[folded] for folded in sorted(keywords)]) if keywords else ())

"""SORT and THREAD (RFC 5256 §4)."""

from collections.abc import Mapping, Sequence

from pennypost.proto.imap.responses.search import spaced


def sort(numbers: Sequence[int], modseq: int | None = None) -> bytes:
    """SORT: every number, in the order asked for, in one line; `modseq`: the highest of theirs (RFC 7162 §3.1.9)."""
    if not numbers:
        return b"* SORT\r\n"
    tail = b"" if modseq is None else b" (MODSEQ %d)" % modseq
    return b"* SORT " + spaced(numbers) + tail + b"\r\n"


def thread(roots: Sequence[int], children: Mapping[int, Sequence[int]], names: Sequence[int]) -> bytes:
    """THREAD. Nodes are positions in `names`, which has their numbers; those beyond it are left out: only what is below
    them is told."""
    if not roots:
        return b"* THREAD\r\n"
    written: list[str] = []
    write = written.append
    count = len(names)
    close = -1
    for root in roots:
        below = children.get(root)
        if below is None:
            write(f"({names[root]})")
            continue
        waiting = [root]
        while waiting:
            node = waiting.pop()
            if node == close:
                write(")")
                continue
            write("(")
            waiting.append(close)
            while True:  # down to where it splits
                below = children.get(node)
                if node < count:
                    write(str(names[node]))
                if below is None:
                    break
                if len(below) > 1:
                    if node < count:
                        write(" ")
                    waiting += reversed(below)
                    break
                if node < count:
                    write(" ")
                node = below[0]
    return ("* THREAD " + "".join(written) + "\r\n").encode("ascii")

"""Threads as trees: ORDEREDSUBJECT and REFERENCES (RFC 5256 §3), REFS (draft-ietf-morg-inthread).

Messages come in mailbox order and are named by their position in it. Ids are hashes, so that linking compares
integers; 0 is no id. Nothing here recurses: a thread may be as deep as there are messages.
"""

from collections.abc import Sequence

_ROOT = -1

MAX_CLIMB = 1_000
"""Generations looked up for a loop before a link is refused: what hostile references could cost."""


class Threaded:
    """Messages to be tied together, in parallel columns in mailbox order.

    `dates`: sent dates, any unit. `subjects`: base subjects, folded for comparison. `replies`: whether the subject is
    that of a reply or a forward. `links`: the hash of the own id, then of the references, oldest first; or empty.
    """

    __slots__ = ("dates", "links", "replies", "subjects")

    def __init__(
        self,
        dates: Sequence[int],
        subjects: Sequence[str],
        replies: Sequence[int],
        links: Sequence[Sequence[int]],
    ) -> None:
        self.dates = dates
        self.subjects = subjects
        self.replies = replies
        self.links = links


class Forest:
    """Trees of nodes. A node below `count` is that message; above, a dummy that stands for one that is not there.

    `roots` and `children` are in the order in which they are told. A dummy is a root only.
    """

    __slots__ = ("children", "count", "roots")

    def __init__(self, count: int, roots: list[int], children: dict[int, list[int]]) -> None:
        self.count = count
        self.roots = roots
        self.children = children


def ordered_subject(messages: Threaded) -> Forest:
    """Tie together what has one base subject; the first by sent date is the parent of the others."""
    dates, subjects = messages.dates, messages.subjects
    by_date = sorted(range(len(dates)), key=dates.__getitem__)
    first: dict[str, int] = {}
    children: dict[int, list[int]] = {}
    roots: list[int] = []
    for message in by_date:
        root = first.setdefault(subjects[message], message)
        if root == message:
            roots.append(message)
        else:
            children.setdefault(root, []).append(message)
    return Forest(len(dates), roots, children)


def references(messages: Threaded) -> Forest:
    """Tie replies to what they answer, then threads of one base subject together (RFC 5256 §3, REFERENCES)."""
    linking = _Linking(messages)
    linking.prune()
    linking.sort_roots(messages.dates)
    linking.gather_subjects(messages)
    linking.sort_siblings(messages.dates)
    return linking.forest()


def refs(messages: Threaded) -> Forest:
    """Tie replies to what they answer, subjects aside; threads are in the order of their newest message."""
    linking = _Linking(messages)
    linking.prune()
    linking.sort_siblings(messages.dates)
    newest = linking.newest(messages.dates)
    linking.roots.sort(key=newest.__getitem__)
    return linking.forest()


class _Linking:
    """The trees while they are made. Steps are those of RFC 5256 §3."""

    def __init__(self, messages: Threaded) -> None:
        self.count = len(messages.dates)
        self.parents: list[int] = [_ROOT] * self.count
        self.children: dict[int, list[int]] = {}
        self.roots: list[int] = []
        self._link(messages.links)

    # -- Steps 1 and 2

    def _link(self, links: Sequence[Sequence[int]]) -> None:
        parents = self.parents
        above: set[int] = set()
        nodes: dict[int, int] = {}
        for message, ids in enumerate(links):
            if ids and ids[0]:
                nodes.setdefault(ids[0], message)
        for message, ids in enumerate(links):
            if len(ids) < 2:
                if ids and parents[message] != _ROOT:  # (B): without references it has no parent
                    parents[message] = _ROOT
                continue
            before = _ROOT
            for one in ids[1:]:
                node = nodes.get(one)
                if node is None:
                    node = nodes[one] = len(parents)
                    parents.append(_ROOT)
                if before != _ROOT and parents[node] == _ROOT and self._may_be_below(node, before, above):
                    parents[node] = before
                    above.add(before)
                before = node
            parents[message] = _ROOT  # (B): a link that others gave it is broken, before it is looked for loops
            if self._may_be_below(message, before, above):
                parents[message] = before
                above.add(before)
        roots, children = self.roots, self.children
        for node, parent in enumerate(parents):
            if parent == _ROOT:
                roots.append(node)
            elif parent in children:
                children[parent].append(node)
            else:
                children[parent] = [node]

    def _may_be_below(self, node: int, parent: int, above: set[int]) -> bool:
        """Whether a link closes no loop. `above`: all that have, or had, children: nothing else can be an ancestor."""
        if node == parent:
            return False
        if node not in above:
            return True
        parents = self.parents
        for _ in range(MAX_CLIMB):
            parent = parents[parent]
            if parent == _ROOT:
                return True
            if parent == node:
                return False
        return False

    # -- Step 3

    def prune(self) -> None:
        """Take dummies out; their children stand in their place, but for several at the top."""
        count, children = self.count, self.children
        if len(self.parents) == count:
            return
        for node in self._bottom_up():
            below = children.get(node)
            if below is not None and any(child >= count for child in below):
                kept: list[int] = []
                for child in below:
                    if child < count:
                        kept.append(child)
                    else:
                        kept += children.pop(child, ())
                if kept:
                    children[node] = kept
                else:
                    del children[node]
        roots: list[int] = []
        for root in self.roots:
            below = children.get(root)
            if root < count or (below is not None and len(below) > 1):
                roots.append(root)
            elif below is not None:
                roots += below
                del children[root]
        self.roots = roots

    def _bottom_up(self) -> list[int]:
        """List the nodes that have children, each after all that are below it."""
        children = self.children
        order: list[int] = []
        waiting = [root for root in self.roots if root in children]
        while waiting:
            node = waiting.pop()
            order.append(node)
            waiting += [child for child in children[node] if child in children]
        order.reverse()
        return order

    # -- Steps 4 and 6

    def sort_roots(self, dates: Sequence[int]) -> None:
        """Sort the top by sent date; a dummy counts as the first of its children."""
        count, children = self.count, self.children
        for root in self.roots:
            if root >= count:
                self._sort(children[root], dates)
        self._sort(self.roots, dates)

    def sort_siblings(self, dates: Sequence[int]) -> None:
        """Sort all siblings by sent date, the youngest generation first."""
        for below in self.children.values():
            if len(below) > 1:
                self._sort(below, dates)
        self._sort(self.roots, dates)

    def _sort(self, nodes: list[int], dates: Sequence[int]) -> None:
        """Sort by sent date, then in mailbox order."""
        if not nodes or max(nodes) >= self.count:
            nodes.sort(key=lambda node: self._sent(node, dates))
            return
        nodes.sort()
        nodes.sort(key=dates.__getitem__)

    def _sent(self, node: int, dates: Sequence[int]) -> tuple[int, int]:
        while node >= self.count:
            node = self.children[node][0]
        return dates[node], node

    # -- Step 5

    def gather_subjects(self, messages: Threaded) -> None:
        """Merge threads of one subject."""
        subjects, replies, count = messages.subjects, messages.replies, self.count
        children = self.children
        named = [subjects[root if root < count else children[root][0]] for root in self.roots]
        table: dict[str, int] = {}
        for root, subject in zip(self.roots, named, strict=True):
            if not subject:
                continue
            there = table.setdefault(subject, root)
            if there != root and there < count and (root >= count or (bool(replies[there]) and not replies[root])):
                table[subject] = root
        gone: set[int] = set()
        place: dict[int, int] = {}
        for root, subject in zip(self.roots, named, strict=True):
            there = table.get(subject, root) if subject else root
            if there == root:
                continue
            if root >= count and there >= count:
                children[there] += children.pop(root)
                gone.add(root)
            elif there >= count or (replies[root] and not replies[there]):
                children.setdefault(there, []).append(root)
                gone.add(root)
            else:
                dummy = len(self.parents)
                self.parents.append(_ROOT)
                children[dummy] = [there, root]
                gone.add(root)
                place[there] = dummy
                table[subject] = dummy
        if gone:
            self.roots = [place.get(root, root) for root in self.roots if root not in gone]

    # -- The rest

    def newest(self, dates: Sequence[int]) -> dict[int, tuple[int, int]]:
        """Give the greatest sent date within each thread, by its root."""
        found: dict[int, tuple[int, int]] = {}
        for root in self.roots:
            waiting = [root]
            best = (-(2**63), root)
            while waiting:
                node = waiting.pop()
                if node < self.count:
                    best = max(best, (dates[node], node))
                waiting += self.children.get(node, ())
            found[root] = best
        return found

    def forest(self) -> Forest:
        return Forest(self.count, self.roots, self.children)

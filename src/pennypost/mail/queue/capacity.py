"""How many messages one worker sends at the same time, and who waits for his turn.

There are two pools: one for hops that are quick, and a larger one for those that take long, or fail. A message that has
taken long moves from the first to the second while it is under way, whatever its hop was before. So hops that are slow
or dead, however many they are, never take the connections of those that are not.
"""

from collections import deque
from heapq import heappop, heappush
from itertools import count

from pennypost.mail.queue.channel import Channel, Job

LINGER_SECONDS = 10.0
"""How long a message may take until it, and its hop, are slow."""
SLOW_SHARE = 4
"""How many times as many slow ones there may be."""


class Pool:
    """Some connections. `busy`: those in use; what moved in from another pool may make them more than `most`."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.busy = 0
        self._waiting: list[tuple[int, int, Channel]] = []
        self._number = count()

    @property
    def full(self) -> bool:
        return self.busy >= self.most

    def wait(self, channel: Channel) -> None:
        """Let a hop wait, by the turn of its first job."""
        turn = channel.jobs[0].turn
        if channel.blocked_turn is None or turn < channel.blocked_turn:
            channel.blocked_turn = turn
            heappush(self._waiting, (turn, next(self._number), channel))

    def next(self) -> Channel | None:
        """Give the hop whose first job's turn it is, if there is room for it. It does not wait any more then."""
        while self._waiting and not self.full:
            turn, _, channel = heappop(self._waiting)
            if channel.blocked_turn == turn:  # else it was blocked again, by a job that comes sooner
                channel.blocked_turn = None
                return channel
        return None


class Capacity:
    """The pools of one worker. Instants are those of the loop's clock, in seconds."""

    def __init__(self, most: int) -> None:
        self.quick = Pool(most)
        self.slow = Pool(most * SLOW_SHARE)
        self._recent: deque[Job] = deque()

    def of(self, channel: Channel) -> Pool:
        """Give the pool that a hop's next job belongs to."""
        return self.slow if channel.slow or channel.pace.failing else self.quick

    def begin(self, job: Job, now: float) -> None:
        """Take a connection for a job."""
        pool = self.of(job.channel)
        pool.busy += 1
        job.begun, job.recent = now, pool is self.quick
        if job.recent:
            self._recent.append(job)

    def end(self, job: Job, now: float) -> None:
        """Give a job's connection back. How long it took says how its hop is."""
        (self.quick if job.recent else self.slow).busy -= 1
        job.recent = False
        job.channel.slow = now - job.begun >= LINGER_SECONDS

    def age(self, now: float) -> float | None:
        """Move what has taken long to the slow pool. Gives when the next one will have, None: none is under way."""
        recent = self._recent
        while recent and (not recent[0].recent or now - recent[0].begun >= LINGER_SECONDS):
            job = recent.popleft()
            if job.recent:
                job.recent = False
                job.channel.slow = True
                self.quick.busy -= 1
                self.slow.busy += 1
        return recent[0].begun + LINGER_SECONDS if recent else None

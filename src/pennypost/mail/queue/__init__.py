"""The queue manager: what is due is sent, what fails is tried again, and its sender told.

settings    what an administrator can set
schedule    when a delivery is tried again, when its sender is warned, when it is given up
routing     which next hop a delivery goes to: by the recipient's domain, or to a smarthost
pacing      how many connections a next hop gets, and when it is left alone
verdict     what becomes of each recipient after an attempt
outbox      how new mail comes into the queue: its place, its turn, and whether this worker sends it at once
manager     the worker that does it all
"""

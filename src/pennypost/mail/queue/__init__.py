"""The queue manager: what is due is sent, what fails is tried again, and its sender told.

settings    what an administrator can set
outbox      how new mail comes into the queue: its place, its turn, and whether this worker sends it at once
manager     the worker that does it all, over channel (a next hop, and what waits for it here)
attempt     sending one message, and writing down (settlement) what came of it
verdict     what becomes of each recipient after an attempt
schedule    when a delivery is tried again, when its sender is warned, when it is given up
routing     which next hop a delivery goes to: by the recipient's domain, or to a smarthost
pacing      how many connections a next hop gets, and when it is left alone
local       delivery here of what was to be held
recall      taking mail back before it leaves
suppressing whose mail is not sent to those who bounced
verp        a reverse-path for each recipient
by_hand     what an administrator does
"""

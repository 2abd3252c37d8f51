"""Others at the door: programs that are asked about a message before it is accepted.

shape       what a screener is asked, and what it may answer
settings    what can be set of every one of them: how long it may take, what follows when it fails
breaker     one that has failed too often is left alone for a while
guard       time, breaker and number of questions at once, the same for all; a failure becomes an answer
stream      large messages go out in pieces, and the loop has its turn in between
"""

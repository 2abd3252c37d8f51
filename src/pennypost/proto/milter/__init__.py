"""The mail filter protocol of Sendmail 8, version 6, from the side of the mail server.

There is no RFC; the words are those of libmilter's `mfdef.h`. Every packet is its length in four octets, most
significant first, a letter, and data.

options     what both sides can and want: actions, and steps of a message that are left out or not answered
commands    what the server says
replies     what the filter answers
client      MilterClientSession: the order of it all
"""

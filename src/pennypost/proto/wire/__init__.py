"""What the line protocols share: cutting octets into lines, and the dots of a text that ends with one.

lines  LineBuffer: a bounded buffer of CRLF lines; what is wrong with a line is a LineFault
dots   dot_stuff: how a text is written that "." alone on a line ends
"""

from pennypost.proto.wire.dots import dot_stuff
from pennypost.proto.wire.lines import LineBuffer, LineFault

__all__ = ["LineBuffer", "LineFault", "dot_stuff"]

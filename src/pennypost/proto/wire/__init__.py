"""Octets into lines and literals, with bounds: shared by every protocol machine."""

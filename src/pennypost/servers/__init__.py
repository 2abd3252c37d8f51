"""Doors, one folder for each protocol. They carry; `mail` decides."""

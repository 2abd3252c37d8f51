"""SASL mechanisms (RFC 4422), server side: each yields questions and is sent the answers."""

"""The embedded engine: SQLite through apsw, with group commit."""

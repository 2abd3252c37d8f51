"""`python -m pennypost` is `pennypost`."""

from pennypost.cli.main import main

main()

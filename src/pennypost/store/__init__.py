"""What is true: accounts, mailboxes, messages, blobs, queue, changes. SQL lives here and nowhere else."""

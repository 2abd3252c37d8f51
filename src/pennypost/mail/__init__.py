"""What a mail server decides: authenticate, receive, submit, route, deliver."""

"""Who really sent a message: evaluators that ask for the DNS and never fetch (`model.dns.Consultation`)."""

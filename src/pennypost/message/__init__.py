"""Internet Message Format and MIME over octets: index, headers, addresses, dates, decoding, building."""

"""Whether a message is wanted: evidence, its weights, and a classifier that learns. Pure."""

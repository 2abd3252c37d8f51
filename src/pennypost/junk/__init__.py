"""Whether a message is wanted: evidence, its weights, and a classifier that learns. Pure.

content      what of a message is looked at, cut to bounds
tokens       the words, pairs and marks the classifier counts
classifier   the chance that a message is junk, from how often its tokens came in junk and in wanted mail
evidence     Evidence, Score: named reasons with weights, in sentences a layman understands
signs        what the header, the text, links and attachments of a message say for or against it
identity     what is known of who sent it says for or against it
greeting     what a host called itself says
writing      what is odd about the letters of a message
language     in which language a text is
codes        messages that answer what a person does right now, and must not wait
"""

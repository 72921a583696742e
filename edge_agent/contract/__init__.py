"""What passes between rooms and between trainer and agent: nouns and files, no behaviour."""

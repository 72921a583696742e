"""A machine's next profile, learnt beside the one that watches: gathered, learnt, compared, and taken over or not."""

"""The network that looks at pictures: cut out of one that was pre-trained on photographs, and brought into a bundle.

Rules: weights come from a package of the registry, by its name and version, under a licence that lets them be passed
on. What the agent gets answers as torch did (golden pictures), and knows no name of what it was trained on.
"""

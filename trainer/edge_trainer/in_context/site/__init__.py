"""Fine-tuning for a site: the shipped judge goes on learning from the plant's own normal recordings, and is measured.

    shipped     the networks of the judge in a bundle, read from its graph
    gain        what two judges are worth on the same machines, with an interval
    report      what was measured, as a table
    stages      from recordings to a bundle

Whether anything was gained is measured on machines of the site that were left out, and whether anything was lost on
general machines that were held out. A judge that shows no gain is not exported.
"""

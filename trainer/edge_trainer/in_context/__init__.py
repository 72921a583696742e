"""The pre-trained judge: a network that learns from thousands of machines to tell faults from what machines just do.

    machines/     families of machines: rows, faults in them, and changes that are none
    injections    what is done to a healthy machine's rows; benign: what healthy machines do by themselves
    episodes      a machine learnt from some of its rows and looked at later, as the agent itself does both
    corpus        episodes in shards on disk, made by several processes, interrupted and resumed at will
    network       the judge; training: how it learns; export: its form in a bundle
    measures      average precision within a machine, by family; threshold: the number that keeps the budget

A judge is trained on episodes as in learning in context (Hollmann et al., "TabPFN", 2023; Shen et al., "FoMo-0D",
2024): what it may know of a machine is what the agent learnt from the machine's own calm rows. Nothing is trained at
the edge.
"""

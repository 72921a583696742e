"""The trainer: pre-trains, fine-tunes, calibrates, evaluates and exports what the agent runs.

    data/        recordings, labels and synthetic signals as batches of windows, of any size, in a repeatable order
    network/     the encoder and its head; their form in whole numbers of eight bits
    training/    the stages: pre-train, fine-tune, calibrate; the loop that both share; what is learnt without labels
    in_context/  the judge in context: machines of many families, episodes, its network and its threshold
    bundle/      what an agent can trust: export, signature, model card
    evaluation/  measures of detection and naming, and how they are summed up
    report/      pages and pictures for people
    configs/     runs that are repeated by name
    cli/         the command line `edge-trainer`

Every stage reads what the stage before left in the run's folder, and writes its own. Chance comes from the run's seed
alone. What the agent computes at run time, the trainer computes with the agent's own code; the agent never imports it.
"""

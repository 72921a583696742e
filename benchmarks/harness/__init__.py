"""What all benchmarks and the tests share: processes around an agent, where figures come from, and the page of results.

    broker, agent            mosquitto and `edge-agent run` as processes that can be killed, frozen and looked at
    publisher, subscriber    sensors that keep a ledger of what was acknowledged; a control room that keeps its own
    user, edge_node          someone at the broker who sends and commands; a Sparkplug edge node
    patience                 waiting for a state of the world, and giving up loudly
    figure_cache             figures that were measured before, until what decided them changes
    fault_ledger             the file of faults that were put in, and what became of them
    provenance, results_page when, where and from which commit a figure is; figures beside the goals

Nothing here knows a test, and nothing judges: a program that is missing is `MissingProgramError`, a wait in vain
`WaitedInVainError`; what that means is said by who asked. A process is started in one place, here.
"""

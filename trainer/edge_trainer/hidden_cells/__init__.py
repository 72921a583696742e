"""A masked autoencoder that is told, in context, what a machine's own calm rows let expect of a hidden cell.

    gaps           which cells are hidden, and what is looked at beside them
    expectations   interpolation, conditional Gaussians, neighbours: learnt from one machine's calm rows
    evidence       how far they are apart and how far each may be trusted, as numbers without a unit
    network        weighs the expectations, corrects them, and says how sure it is
    examples       hidden cells of many machines
    training       learns from them

It is measured by `python -m benchmarks.hidden_cells.run`; no bundle holds it.
"""

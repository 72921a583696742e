"""Families of machines to learn from, by name: how often each is drawn, and who draws it.

    machine       the noun: rows, what is wrong in them, what nobody could say of them
    plants        simulated kinds, steady and in ordinary factories
    ordinary      small machines with nights, batches, set points, meters, doors
    signals       mixtures of signals, heavy-tailed noise and switches that are no physics
    bursts        loads that come in bursts, as in computers, networks and yards
    slow          a row in minutes, one channel or few, the rhythm of days and weeks
    recordings    normal parts of real machines that may be used for what is shipped
    site          normal recordings of a site's own machines, some of which are left out
    families      the table

A drawn machine follows from its seed alone; a family that needs recordings is left out where they are not there.
"""

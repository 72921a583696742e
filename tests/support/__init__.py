"""Builders and stand-ins that several tests use; each is made of public parts of the agent only.

What runs as a process (brokers, agents, clients) is `benchmarks.harness`; here is what one process needs: machines
that were never learnt (`profiles`), rows as frames (`frames`), machines whose score is their measurement
(`ramp_machine`), an agent whose life is a script (`scripted_agent`), tiny models (`tiny`), certificates (`pki`), one
rule for what a machine lacks (`missing`).

No test imports a test, and none builds what is built here: tests/house/test_tests.py.
"""

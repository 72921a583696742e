"""The command line `edge-trainer`: parses, reports, exits; every command is one stage."""

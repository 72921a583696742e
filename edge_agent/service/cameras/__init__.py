"""Cameras of the running agent: what is around the desk of `pipeline/cameras`, that is network, worker and files."""

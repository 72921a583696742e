"""What the pipeline does for machines that run a program: counts their cycles, and tells of what is new in them."""

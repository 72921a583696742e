"""Stand-ins that tests share; each is made of public parts only."""

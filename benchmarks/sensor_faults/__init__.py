"""Are broken sensors told from broken machines, and do other rates and losses of samples change what is found."""

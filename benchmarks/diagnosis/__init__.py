"""Is a fault called by its name, from few labels; and how good the representations are that names are learnt on."""

"""Machines as things to manage: which are meant, what people say of them, learnt anew beside the old, forgotten."""

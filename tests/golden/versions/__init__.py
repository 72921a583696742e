"""State directories that earlier commits left behind, and what today's agent makes of them."""

"""How well whole cycles of programmed machines are told apart: real recordings, a recipe and its components."""

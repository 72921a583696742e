"""The past: incidents that closed and the minutes of every machine, in a database of their own beside the state.

`incident` and `minutes` are what is kept, `database` writes it within its bounds, `reader` and `curves` answer from it.
The turn never waits for any of this: what closes is kept in the state's transaction until the history has it.
"""

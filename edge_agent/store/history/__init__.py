"""The past: incidents that closed and the minutes of every machine, in a database of their own beside the state.

`incident` is what is kept, `database` writes it and keeps it within its bounds, `reader` answers from it.
The turn never waits for any of this: what closes is kept in the state's transaction until the history has it.
"""

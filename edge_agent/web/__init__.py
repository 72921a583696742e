"""The page for people in front of the machine: shows what the agent knows, and takes their commands to the desk.

`site` is what the service drives. Nothing in here decides about an alarm, and no request is worked on by the
pipeline's thread: the two meet in `exchange`.
"""

"""The configuration file: TOML, read once, checked whole, every finding reported at once with its line.

Lives here: which sections and keys the file may hold, which of their values make sense, relative paths and systemd's
credentials. Does not live here: what a setting does. Rooms have frozen settings classes of their own and know nothing
of this one; only `service` and `cli` read a `Config`.

Rules:
- A key, its default and its bounds are written once: in the settings class of the room that obeys it where the file's
  section is that class, else in the section.
- A finding names section, key and line, says what is wrong, and never repeats a value: it may be a secret.
- Nothing unknown is passed over. No connection is opened.
"""

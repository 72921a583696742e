"""What a source says of its messages' names, numbers, times and quality, apart from any wire format. Imports no format.

`reading.Reading` holds all of it. A place is a JSON pointer (`pointer`), in which `*` stands for every key or item and
`{word}` for a key that is remembered under this word, as in topics. Names (`names`) are put together from topic levels
and places, numbers (`values`), times (`times`) and quality (`quality`) are read as the source writes them.
"""

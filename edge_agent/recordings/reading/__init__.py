"""A file of any plant to columns: what it is packed in, its form, its header, its times, its numbers, a line a value.

`unpack` tells forms by their content; `csv_rows`, `workbook` and `json_rows` make rows or columns of text of them;
`header` finds names; `times` with `time_text` and `time_order` reads and orders times; `numbers` reads cells;
`long_form` turns a line a value into a column a tag. `tables` in the room above puts them together.

Rules:
- What was assumed, and what is a gap or left out, is a note in words. Nothing is left out in silence.
- No time is invented: gaps stay gaps, and a row that is moved says so.
"""

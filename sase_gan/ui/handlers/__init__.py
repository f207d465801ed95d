"""What the tabs do: plain functions of their arguments, one file a tab, none importing another's.

Apart from `tabs`, which lays out the page and says where results are shown, so that each of the two can be read and
tested alone. A handler checks what it was sent, calls the library, and returns one value or a record with named fields.
What it refuses reaches the visitor as a sentence, by `sentences`.
"""

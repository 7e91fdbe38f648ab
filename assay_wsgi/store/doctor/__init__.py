"""How a database is set up and how it fares: what `assay db doctor` looks at. Changes nothing.

`fsck` asks whether what is stored makes sense; this asks whether the database around it can be relied on.
A check is a function that finds what is wrong and says what to do; a module a database, `both` for both.
"""

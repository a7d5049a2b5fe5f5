"""Getting the pool's data in: rows from files or requests, checked one by one and written by their natural keys.

`kinds` is the table of what a row may say, `reading` takes files apart, `importing.import_rows` does the rest; the
others write: `entity_rows`, `measured_rows`, `money_rows`, each on `batches`.
"""

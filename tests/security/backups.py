"""A backup of the test database, taken and put back for real: SQLite's file, the rows of PostgreSQL's tables."""

from __future__ import annotations

import shutil
from pathlib import Path

from django.db import connection, connections, transaction


class Backup:
    """Taken when it is made."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "backup.sqlite3"
        self.rows: dict[str, bytes] = {}
        if connection.vendor == "postgresql":
            self._dump()
            return
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connections.close_all()
        shutil.copyfile(str(connection.settings_dict["NAME"]), self.file)

    def restore(self) -> None:
        """Put the database back to how it was. The backup stays."""
        if connection.vendor == "postgresql":
            self._load()
            return
        connections.close_all()
        name = str(connection.settings_dict["NAME"])
        for rest in ("-wal", "-shm"):
            Path(name + rest).unlink(missing_ok=True)
        shutil.copyfile(self.file, name)

    def _dump(self) -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            for table in connection.introspection.table_names():
                with cursor.copy(f'COPY "{table}" TO STDOUT') as copy:
                    self.rows[table] = b"".join(bytes(part) for part in copy)

    def _load(self) -> None:
        # Foreign keys are checked at the end of the transaction.
        with transaction.atomic(), connection.cursor() as cursor:
            for table in self.rows:
                cursor.execute(f'DELETE FROM "{table}"')  # noqa: S608 the database's own names
            for table, rows in self.rows.items():
                with cursor.copy(f'COPY "{table}" FROM STDIN') as copy:
                    copy.write(rows)

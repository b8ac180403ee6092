"""Rows that point at another site's row, through foreign keys that do not hold the site.

Asked here and not in the check itself: which tables there are to be joined is known only when the database is read.
"""

from __future__ import annotations

from typing import Any, Final

from opsmantik.audit.needs import Catalogue

# Of every schema but the server's own; of a partitioned table the key of the whole, not its parts'.
KEYS: Final = r"""
SELECT f.conname AS key, f.conrelid::regclass::text AS near, f.confrelid::regclass::text AS far,
    (SELECT string_agg(format('p.%I = c.%I', r.attname, a.attname), ' AND ')
     FROM unnest(f.conkey, f.confkey) AS k (near, far)
     JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = k.near
     JOIN pg_attribute r ON r.attrelid = f.confrelid AND r.attnum = k.far) AS matches
FROM pg_constraint f
JOIN pg_attribute c ON c.attrelid = f.conrelid AND c.attname = 'site_id' AND NOT c.attisdropped
JOIN pg_attribute p ON p.attrelid = f.confrelid AND p.attname = 'site_id' AND NOT p.attisdropped AND p.atttypid = c.atttypid
JOIN pg_class t ON t.oid = f.conrelid JOIN pg_namespace n ON n.oid = t.relnamespace
WHERE f.contype = 'f' AND f.conparentid = 0 AND c.attnum <> ALL (f.conkey)
    AND n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema'
    AND has_table_privilege(f.conrelid, 'SELECT') AND has_table_privilege(f.confrelid, 'SELECT')
ORDER BY 2, 1
"""
COUNT: Final = "SELECT count(*) FROM {near} c JOIN {far} p ON {matches} WHERE p.site_id <> c.site_id"


async def crossings(connection: Any, there: Catalogue) -> list[dict[str, Any]]:
    """Each such key, its two tables as they are written, how they are joined, and how many rows cross."""
    found = [dict(row) for row in await connection.fetch(KEYS)]
    for key in found:
        # The names come quoted from the catalogue.
        key["rows"] = await connection.fetchval(COUNT.format(**key))
    return found

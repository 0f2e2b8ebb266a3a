-- The staged rows of the records that come into the lake: of the root table, and of every child table.
SELECT {columns}
FROM staged
WHERE _seq IN (SELECT _seq FROM fates WHERE fate IN ('insert', 'update'))

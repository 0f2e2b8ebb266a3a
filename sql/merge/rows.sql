-- The staged rows of records of some fates: of the root table, and of every child table.
SELECT {columns}
FROM staged
WHERE _seq IN (SELECT _seq FROM fates WHERE fate IN ({fates}))

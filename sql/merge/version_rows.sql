-- The staged rows of records of some fates, with the time that their version is valid: of the root table, and
-- of every child table.
SELECT {columns}
FROM staged
INNER JOIN versions ON staged._seq = versions._seq
WHERE versions.fate IN ({fates})

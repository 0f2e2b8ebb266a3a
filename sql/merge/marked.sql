-- The rows of the target that are marked as deleted instead of taken out (M5), as they will stand.
SELECT {columns}
FROM target
INNER JOIN fates ON target._file = fates._file AND target._row = fates._row
WHERE fates.fate = 'mark'

-- The rows of the target whose validity ends at another time than before, as they will stand.
SELECT {columns}, target._file, target._row
FROM target
INNER JOIN versions ON target._file = versions._file AND target._row = versions._row
WHERE versions.is_moved

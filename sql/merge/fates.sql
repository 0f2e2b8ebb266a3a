-- What becomes of each newest record: the row of the target that it meets, and what that means.
-- A record older than its row changes nothing (M4). The links are what child rows in the target call
-- their root by.
SELECT
    newest._seq,
    {columns},
    target._file,
    target._row,
    CASE
        WHEN target._row IS NOT NULL AND ({is_late}) THEN 'late'
        WHEN newest.is_deleted AND target._row IS NULL THEN '{absent}'
        WHEN newest.is_deleted THEN '{deleted}'
        WHEN target._row IS NULL THEN 'insert'
        ELSE '{met}'
    END AS fate
FROM newest
LEFT JOIN target ON {same_key}

-- The rows of the target that go, by file (M9): those that a newer record replaces or deletes.
SELECT _file, _row
FROM fates
WHERE _row IS NOT NULL AND fate IN ('update', 'delete', 'mark')

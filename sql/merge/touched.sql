-- The rows of the target that records meet, of some fates: those that are replaced, deleted or marked (M9).
SELECT _file, _row, _seq
FROM fates
WHERE _row IS NOT NULL AND fate IN ({fates})

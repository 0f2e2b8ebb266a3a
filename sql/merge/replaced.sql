-- The rows of a child table that go (M6): all that hang below a record which was replaced or deleted,
-- whether or not the batch brings new ones.
SELECT target._file, target._row
FROM target
INNER JOIN (
    SELECT DISTINCT {links}
    FROM fates
    WHERE fate IN ({fates})
) AS gone ON {same_root}

-- Keys of a result that are null or stand in more than one row, in the order of the rows.
SELECT {key}
FROM result
GROUP BY {key}
HAVING count(*) > 1 OR {is_null}
ORDER BY min(_seq)

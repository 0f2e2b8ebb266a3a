-- Parent rows whose length of an array says another number than there are child rows.
SELECT {key}, coalesce(parent.{length}, 0) AS expected, coalesce(child.num_rows, 0) AS found
FROM parent
LEFT JOIN (
    SELECT {child_key}, count(*) AS num_rows
    FROM child
    GROUP BY {child_key}
) AS child ON {same}
WHERE coalesce(parent.{length}, 0) <> coalesce(child.num_rows, 0)

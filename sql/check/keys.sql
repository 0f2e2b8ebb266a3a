-- Keys that stand in more than one row of a root table.
SELECT {key}, count(*) AS num_rows
FROM parent
GROUP BY {key}
HAVING count(*) > 1

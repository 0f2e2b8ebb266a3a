-- Keys that stand in more than one row of the target, which no merge can serve.
SELECT {names}, count(*) AS num_rows
FROM fates
WHERE _row IS NOT NULL
GROUP BY _seq, {names}
HAVING count(*) > 1
ORDER BY {names}

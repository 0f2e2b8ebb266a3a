-- How many records became what.
SELECT fate, count(DISTINCT _seq) AS num_records
FROM fates
GROUP BY fate

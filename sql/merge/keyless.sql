-- The staged records that lack their key: no merge can place them (M3).
SELECT *
FROM staged
WHERE NOT ({has_key})

-- The newest staged record of every key (M3): by --order-by, then by the order of the input.
-- Records without their key are not among them: keyless.sql sets them aside.
SELECT {names}, _seq, is_deleted
FROM (
    SELECT
        {values},
        _seq,
        {is_deleted} AS is_deleted,
        row_number() OVER (PARTITION BY {key} ORDER BY {newest_first}) AS age
    FROM staged
    WHERE {has_key}
)
WHERE age = 1

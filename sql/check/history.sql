-- Versions of a root with history that do not end where the next one begins (M2). A deletion is valid for no time.
SELECT {key}, _valid_from, _valid_to, _is_current, next_valid_from
FROM (
    SELECT
        {key},
        _valid_from,
        _valid_to,
        _is_current,
        lead(_valid_from) OVER (PARTITION BY {key} ORDER BY _valid_from) AS next_valid_from
    FROM parent
)
WHERE
    (_is_current IS DISTINCT FROM (_valid_to IS NULL))
    OR ((_valid_to IS DISTINCT FROM _valid_from) AND (_valid_to IS DISTINCT FROM next_valid_from))

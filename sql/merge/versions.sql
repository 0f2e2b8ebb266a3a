-- Every version of the records that come, in time (M2): those of the batch, and those that stand in the target
-- and are not replaced. A version is valid until the next one. A deletion is valid for no time at all: it stays
-- so that late records find it.
WITH versions AS (
    SELECT
        {key},
        _seq,
        _file,
        _row,
        fate,
        fate IN ('delete', 'absent') AS is_deletion,
        order_1 AS valid_from,
        order_1 AS was_valid_to
    FROM fates
    UNION ALL
    SELECT
        {target_key},
        NULL AS _seq,
        target._file,
        target._row,
        NULL AS fate,
        coalesce(target._valid_to = target._valid_from, false) AS is_deletion,
        target._valid_from AS valid_from,
        target._valid_to AS was_valid_to
    FROM (SELECT DISTINCT {key} FROM fates) AS coming
    INNER JOIN target ON {same_key}
    LEFT ANTI JOIN fates AS met ON target._file = met._file AND target._row = met._row
),

in_time AS (
    SELECT
        *,
        lead(valid_from) OVER (PARTITION BY {key} ORDER BY valid_from) AS next_valid_from
    FROM versions
),

ended AS (
    SELECT
        *,
        CASE WHEN is_deletion THEN valid_from ELSE next_valid_from END AS valid_to
    FROM in_time
)

SELECT
    _seq,
    _file,
    _row,
    fate,
    is_deletion,
    valid_from,
    valid_to,
    valid_to IS NULL AS is_current,
    (fate IS NULL) AND (valid_to IS DISTINCT FROM was_valid_to) AS is_moved
FROM ended

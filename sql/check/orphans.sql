-- Child rows whose parent is not there.
SELECT {child_key}
FROM child
LEFT ANTI JOIN parent ON {same}

-- All staged rows of a table, as an append or a reload without a key takes them.
SELECT {columns}
FROM staged

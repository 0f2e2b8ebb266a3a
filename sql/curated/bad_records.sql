-- Where bad records came from and why they were set aside.
-- Inputs: _quarantine. Grain: one row per object and reason. Dialect: DuckDB.
select entity, object, regexp_replace(reason, ' \(byte \d+\)$', '') as reason, count(*) as num_records
from 'curated/_quarantine/*.parquet'
group by all
order by num_records desc, object, reason;

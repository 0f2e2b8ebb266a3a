-- What each campaign was given, counting every donor's newest record only.
-- Inputs: donors, donors__gifts, donors__gifts__allocations, written with --key donors=id.
-- Grain: one row per campaign and currency. Dialect: DuckDB, from the folder that holds curated/.
with newest as (
    select id, max(_seq) as _seq from 'curated/donors/*.parquet' group by id
),
given as (
    select
        allocation.campaign_id,
        gift.currency,
        gift.amount * allocation.share as amount
    from 'curated/donors__gifts__allocations/*.parquet' as allocation
    join 'curated/donors__gifts/*.parquet' as gift
        on gift._root_id = allocation._root_id
        and gift._seq = allocation._seq
        and gift._index_1 = allocation._index_1
    join newest on newest.id = allocation._root_id and newest._seq = allocation._seq
)
select campaign_id, currency, count(*) as num_gifts, round(sum(amount), 2) as amount
from given
group by campaign_id, currency
order by campaign_id, currency;

-- How giving spreads over regions, beside public figures of those regions: fit to be published, since no
-- person can be told and figures of few donors are left out. Donors of whom no country is known count
-- nowhere.
-- Inputs: donors, donors__gifts, donors__gifts__allocations, regions (fixtures/public/regions.csv)
-- Grain: one row per region
-- Key: region
with given as (
    select
        gift._root_id as donor_id,
        count(distinct gift._index_1) as num_gifts,
        count(distinct allocation.campaign_id) as num_campaigns
    from donors__gifts as gift
    left join donors__gifts__allocations as allocation
        on allocation._root_id = gift._root_id and allocation._index_1 = gift._index_1
    group by gift._root_id
),
by_region as (
    select
        regions.region,
        count(*) as num_donors,
        sum(coalesce(given.num_gifts, 0)) as num_gifts,
        avg(coalesce(given.num_campaigns, 0)) as campaigns_per_donor
    from donors
    inner join regions on regions.country = donors.address__country
    left join given on given.donor_id = donors.id
    group by regions.region
),
public_figures as (
    select region, sum(population) as population, count(*) as num_countries
    from regions
    group by region
)
select
    public_figures.region,
    public_figures.num_countries,
    public_figures.population,
    -- Of fewer than five donors, nothing is said.
    coalesce(by_region.num_donors, 0) < 5 as is_suppressed,
    case when by_region.num_donors >= 5 then by_region.num_donors end as num_donors,
    case when by_region.num_donors >= 5 then by_region.num_gifts end as num_gifts,
    case when by_region.num_donors >= 5 then round(by_region.campaigns_per_donor, 2) end
        as campaigns_per_donor,
    case
        when by_region.num_donors >= 5
            then round(by_region.num_donors * 1000000.0 / public_figures.population, 4)
    end as donors_per_million
from public_figures
left join by_region on by_region.region = public_figures.region
order by public_figures.region;

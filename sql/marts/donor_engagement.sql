-- How donors move through the site before they give: visits, pages, the way to the donation form, and what
-- came of it. For fundraisers who decide whom to write to.
-- Inputs: donors, donors__gifts, clickstream, clickstream__items
-- Grain: one row per donor who was seen on the site
-- Key: donor_id
with events as (
    -- Ids come as numbers and as texts.
    select
        try_cast(donor_id as bigint) as donor_id,
        event_id,
        type,
        coalesce(page__path, page) as path,
        to_timestamp(occurred_at) as occurred_at
    from clickstream
    where donor_id is not null
),
visits as (
    select
        donor_id,
        count(*) as num_events,
        count(distinct cast(occurred_at as date)) as num_days,
        count(distinct path) as num_pages,
        count(*) filter (where type = 'search') as num_searches,
        count(*) filter (where type = 'donate_start') as num_donations_begun,
        count(*) filter (where type = 'donate_done') as num_donations_done,
        min(occurred_at) as first_seen_at,
        max(occurred_at) as last_seen_at
    from events
    group by donor_id
),
looked_at as (
    select
        events.donor_id,
        count(distinct item.campaign_id) as num_campaigns,
        sum(item.dwell_ms) / 1000.0 as dwell_s
    from events
    inner join clickstream__items as item on item._root_event_id = events.event_id
    group by events.donor_id
),
given as (
    select _root_id as donor_id, count(*) as num_gifts, max(to_timestamp(received_at)) as last_gift_at
    from donors__gifts
    group by _root_id
)
select
    visits.donor_id,
    donors.segment,
    donors.preferred_language,
    coalesce(donors.consents__email, false) as may_be_mailed,
    visits.num_events,
    visits.num_days,
    visits.num_pages,
    visits.num_searches,
    visits.num_donations_begun,
    visits.num_donations_done,
    coalesce(looked_at.num_campaigns, 0) as num_campaigns,
    coalesce(looked_at.dwell_s, 0.0) as dwell_s,
    coalesce(given.num_gifts, 0) as num_gifts,
    given.last_gift_at,
    visits.first_seen_at,
    visits.last_seen_at
from visits
inner join donors on donors.id = visits.donor_id
left join looked_at on looked_at.donor_id = visits.donor_id
left join given on given.donor_id = visits.donor_id
order by visits.num_events desc, visits.donor_id;

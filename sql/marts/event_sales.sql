-- Who comes to which event and what it brought: registrations, seats and payments, and gifts that came with
-- them. For marketing that asks those who came before. Payments are in the currency that tickets are sold
-- in; where that is not one, the sum is left out.
-- Inputs: campaigns, campaigns__events, registrations, registrations__attendees,
--   registrations__attendees__tickets, registrations__payments, donors__gifts
-- Grain: one row per event
-- Key: event_id
with signed_up as (
    -- The event is an object or the plain id.
    select
        registration_id,
        coalesce(event__event_id, event) as event_id,
        status,
        contact__donor_id as donor_id
    from registrations
),
seats as (
    select
        ticket._root_registration_id as registration_id,
        count(*) as num_tickets,
        min(ticket.price__currency) as first_currency,
        max(ticket.price__currency) as last_currency
    from registrations__attendees__tickets as ticket
    group by ticket._root_registration_id
),
people as (
    select _root_registration_id as registration_id, count(*) as num_attendees
    from registrations__attendees
    group by _root_registration_id
),
paid as (
    select
        payment._root_registration_id as registration_id,
        sum(payment.amount) as amount_paid,
        count(distinct gift.gift_id) as num_gifts
    from registrations__payments as payment
    left join donors__gifts as gift on gift.gift_id = payment.gift_id
    group by payment._root_registration_id
),
by_event as (
    select
        signed_up.event_id,
        count(*) as num_registrations,
        count(*) filter (where signed_up.status = 'confirmed') as num_confirmed,
        count(*) filter (where signed_up.status = 'cancelled') as num_cancelled,
        count(distinct signed_up.donor_id) as num_donors,
        sum(coalesce(people.num_attendees, 0)) as num_attendees,
        sum(coalesce(seats.num_tickets, 0)) as num_tickets,
        sum(seats.num_tickets) filter (where signed_up.status <> 'cancelled') as num_tickets_kept,
        min(seats.first_currency) as first_currency,
        max(seats.last_currency) as last_currency,
        sum(coalesce(paid.amount_paid, 0.0)) as amount_paid,
        sum(coalesce(paid.num_gifts, 0)) as num_gifts
    from signed_up
    left join people on people.registration_id = signed_up.registration_id
    left join seats on seats.registration_id = signed_up.registration_id
    left join paid on paid.registration_id = signed_up.registration_id
    where signed_up.event_id is not null
    group by signed_up.event_id
),
events as (
    select
        event.event_id,
        event.title,
        campaigns.campaign_id,
        campaigns.title as campaign,
        to_timestamp(event.starts_at) as starts_at,
        event.capacity
    from campaigns__events as event
    inner join campaigns on campaigns.campaign_id = event._root_campaign_id
)
select
    by_event.event_id,
    -- An event that its campaign does not list any more is sold all the same.
    events.title,
    events.campaign_id,
    events.campaign,
    events.starts_at,
    events.capacity,
    by_event.num_registrations,
    by_event.num_confirmed,
    by_event.num_cancelled,
    by_event.num_attendees,
    by_event.num_tickets,
    coalesce(by_event.num_tickets_kept, 0) as num_tickets_kept,
    round(coalesce(by_event.num_tickets_kept, 0) * 1.0 / nullif(events.capacity, 0), 4)
        as share_of_capacity,
    by_event.num_donors,
    by_event.first_currency as currency,
    case when by_event.first_currency = by_event.last_currency then by_event.amount_paid end
        as amount_paid,
    by_event.num_gifts
from by_event
left join events on events.event_id = by_event.event_id
order by by_event.event_id;

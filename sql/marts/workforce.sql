-- What each employee has on the table and has finished, beside position and department: the workforce
-- report. Items of nobody are in no row, and story points that are no number (`XL`) in no sum.
-- Inputs: work_items, work_items__history, employees
-- Grain: one row per employee
-- Key: employee_id
with items as (
    -- The assignee is an object or the plain id; story points come in several spellings.
    select
        id,
        coalesce(assignee__employee_id, assignee) as employee_id,
        fields__state as state,
        try_cast(fields__story_points as double) as story_points,
        to_timestamp(changed_at) as changed_at
    from work_items
),
changes as (
    select _root_id as id, count(*) as num_changes from work_items__history group by _root_id
),
loads as (
    select
        items.employee_id,
        count(*) as num_items,
        count(*) filter (where items.state = 'active') as num_active,
        count(*) filter (where items.state = 'done') as num_done,
        sum(items.story_points) as story_points,
        sum(items.story_points) filter (where items.state = 'done') as story_points_done,
        sum(changes.num_changes) as num_changes,
        max(items.changed_at) as last_changed_at
    from items
    left join changes on changes.id = items.id
    where items.employee_id is not null
    group by items.employee_id
)
select
    employees.employee_id,
    employees.position__department__name as department,
    employees.position__title as position,
    employees.position__fte as fte,
    employees.active as is_active,
    manager.position__title as manager_position,
    coalesce(loads.num_items, 0) as num_items,
    coalesce(loads.num_active, 0) as num_active,
    coalesce(loads.num_done, 0) as num_done,
    coalesce(loads.story_points, 0.0) as story_points,
    coalesce(loads.story_points_done, 0.0) as story_points_done,
    loads.story_points / nullif(employees.position__fte, 0.0) as story_points_per_fte,
    coalesce(loads.num_changes, 0) as num_changes,
    loads.last_changed_at
from employees
left join employees as manager on manager.employee_id = employees.manager__employee_id
left join loads on loads.employee_id = employees.employee_id
order by department, employees.employee_id;

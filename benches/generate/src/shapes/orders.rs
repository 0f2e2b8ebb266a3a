//! ```text
//! {order_id, status, …, customer: {…, address: {…}, preferences: {…}},
//!  items: [{…, discounts: [{…}]}], tags: ["…"], refunds?: [{…, lines: [{…}]}], total}
//! ```
//! Tables: orders, items, discounts, tags, refunds, lines. `order_id` is unique and rises.

use super::moment_ms;
use crate::json::JsonWriter;
use crate::random::Random;
use crate::words;

const STATUSES: &[&str] = &["pending", "paid", "packed", "shipped", "delivered", "cancelled"];
const CHANNELS: &[&str] = &["web", "app", "store", "phone"];
const CONTACTS: &[&str] = &["email", "sms", "none"];
const DISCOUNTS: &[&str] = &["WELCOME10", "SPRING", "BUNDLE", "STAFF"];
const REASONS: &[&str] = &["damaged", "late", "changed mind", "wrong item"];

/// Orders come 750 ms apart.
const SPACING_MS: u64 = 750;

/// Writes the order at `index`.
pub(crate) fn write(json: &mut JsonWriter<'_>, random: &mut Random, index: u64) {
    let placed_ms = moment_ms(index, SPACING_MS);
    let updated_ms = placed_ms + u64::from(random.below(864_000_000));
    json.key("order_id").number(index.wrapping_add(1));
    json.key("status").text(random.pick(STATUSES));
    json.key("placed_at").timestamp(placed_ms);
    json.key("updated_at").timestamp(updated_ms);
    json.key("currency").text(random.pick(words::CURRENCIES));
    json.key("channel").text(random.pick(CHANNELS));
    write_customer(json, random);
    let (num_items, total) = write_items(json, random);
    write_tags(json, random);
    if random.chance(4) {
        write_refunds(json, random, num_items, updated_ms);
    }
    if random.chance(15) {
        json.key("note").text(random.pick(words::NOTES));
    } else if random.chance(20) {
        json.key("note").raw("null");
    }
    json.key("total").hundredths(total);
}

fn write_customer(json: &mut JsonWriter<'_>, random: &mut Random) {
    let customer_id = random.below(500_000);
    json.key("customer").open_object();
    json.key("customer_id").number(u64::from(customer_id));
    json.key("first_name").text(random.pick(words::FIRST_NAMES));
    json.key("last_name").text(random.pick(words::LAST_NAMES));
    json.key("email")
        .open_text()
        .piece("c")
        .padded(u64::from(customer_id), 6)
        .piece("@mail.example")
        .close_text();
    if random.chance(60) {
        json.key("loyalty_points").number(u64::from(random.below(5000)));
    }
    let place = random.below(words::CITIES.len() as u32) as usize;
    json.key("address").open_object();
    json.key("street").open_text().piece(random.pick(words::STREETS)).piece(" ");
    json.padded(u64::from(random.below(199) + 1), 1).close_text();
    json.key("city").text(words::CITIES[place]);
    json.key("postal_code").open_text().padded(u64::from(random.below(100_000)), 5).close_text();
    json.key("country").text(words::COUNTRIES[place]);
    json.close_object();
    json.key("preferences").open_object();
    json.key("language").text(random.pick(words::LANGUAGES));
    json.key("newsletter").boolean(random.chance(40));
    json.key("contact_by").text(random.pick(CONTACTS));
    json.close_object();
    json.close_object();
}

/// Writes one to seven items; returns how many, and their price in hundredths.
fn write_items(json: &mut JsonWriter<'_>, random: &mut Random) -> (u32, u64) {
    let num_items = 1 + random.below(7);
    let mut total = 0;
    json.key("items").open_array();
    for _ in 0..num_items {
        let quantity = u64::from(1 + random.below(4));
        let unit_price = u64::from(99 + random.below(20_000));
        total += quantity * unit_price;
        json.open_object();
        json.key("sku")
            .open_text()
            .piece("SKU-")
            .padded(u64::from(random.below(100_000)), 5)
            .close_text();
        json.key("title").text(random.pick(words::PRODUCTS));
        json.key("quantity").number(quantity);
        json.key("unit_price").hundredths(unit_price);
        if random.chance(30) {
            write_discounts(json, random);
        }
        json.close_object();
    }
    json.close_array();
    (num_items, total)
}

fn write_discounts(json: &mut JsonWriter<'_>, random: &mut Random) {
    json.key("discounts").open_array();
    for _ in 0..random.below(3) {
        json.open_object();
        json.key("code").text(random.pick(DISCOUNTS));
        json.key("percent").number(u64::from(5 * (1 + random.below(6))));
        json.close_object();
    }
    json.close_array();
}

fn write_tags(json: &mut JsonWriter<'_>, random: &mut Random) {
    json.key("tags").open_array();
    for _ in 0..random.below(5) {
        json.text(random.pick(words::TAGS));
    }
    json.close_array();
}

fn write_refunds(json: &mut JsonWriter<'_>, random: &mut Random, num_items: u32, updated_ms: u64) {
    json.key("refunds").open_array();
    for _ in 0..=random.below(2) {
        json.open_object();
        json.key("refund_id").uuid(random.next(), random.next());
        json.key("reason").text(random.pick(REASONS));
        json.key("refunded_at").timestamp(updated_ms + u64::from(random.below(86_400_000)));
        json.key("lines").open_array();
        json.open_object();
        json.key("item_index").number(u64::from(random.below(num_items)));
        json.key("amount").hundredths(u64::from(99 + random.below(9_000)));
        json.close_object();
        json.close_array();
        json.close_object();
    }
    json.close_array();
}

//! ```text
//! {event_id, event_type, occurred_at, received_at, session_id, user_id?, ip, user_agent,
//!  page: {url, path, title, referrer?}, context: {locale, timezone, screen: {…}, campaign?: {…}},
//!  properties?: {…}, viewed?: ["…"]}
//! ```
//! Clickstream: many strings, few numbers, one small array. Hosts and addresses are from the
//! ranges kept for documentation (RFC 2606, RFC 5737).

use super::moment_ms;
use crate::json::JsonWriter;
use crate::random::Random;
use crate::words;

const EVENT_TYPES: &[&str] =
    &["page_view", "click", "scroll", "search", "add_to_cart", "checkout_step", "purchase"];
const REFERRERS: &[&str] =
    &["https://search.example/", "https://news.example/today", "https://social.example/t/8831", ""];
const SOURCES: &[&str] = &["newsletter", "search", "partner", "social"];
const CAMPAIGNS: &[&str] = &["spring-2024", "welcome", "back-to-school", "winter-lights"];
const ELEMENTS: &[&str] =
    &["nav.main a.logo", "button#add", "footer a[rel=help]", "form.search input"];
const SCREENS: [(u64, u64); 4] = [(1920, 1080), (1440, 900), (390, 844), (412, 915)];

/// Events come 40 ms apart.
const SPACING_MS: u64 = 40;

/// Writes the event at `index`.
pub(crate) fn write(json: &mut JsonWriter<'_>, random: &mut Random, index: u64) {
    let occurred_ms = moment_ms(index, SPACING_MS);
    json.key("event_id").uuid(random.next(), random.next());
    json.key("event_type").text(random.pick(EVENT_TYPES));
    json.key("occurred_at").timestamp(occurred_ms);
    json.key("received_at").timestamp(occurred_ms + u64::from(random.below(4000)));
    json.key("session_id").open_text().hex(random.next(), 16).close_text();
    if random.chance(35) {
        json.key("user_id")
            .open_text()
            .piece("u_")
            .padded(u64::from(random.below(500_000)), 6)
            .close_text();
    }
    json.key("ip")
        .open_text()
        .piece("198.51.100.")
        .padded(u64::from(random.below(256)), 1)
        .close_text();
    json.key("user_agent").text(random.pick(words::USER_AGENTS));
    write_page(json, random);
    write_context(json, random);
    if random.chance(40) {
        json.key("properties").open_object();
        json.key("element").text(random.pick(ELEMENTS));
        json.key("label").text(random.pick(words::PRODUCTS));
        if random.chance(30) {
            json.key("value").hundredths(u64::from(random.below(50_000)));
        }
        json.close_object();
    }
    if random.chance(25) {
        json.key("viewed").open_array();
        for _ in 0..random.below(4) {
            json.open_text().piece("SKU-").padded(u64::from(random.below(100_000)), 5).close_text();
        }
        json.close_array();
    }
}

fn write_page(json: &mut JsonWriter<'_>, random: &mut Random) {
    let path = random.pick(words::PAGES);
    json.key("page").open_object();
    json.key("url").open_text().piece("https://shop.example").piece(path).piece("?v=");
    json.hex(random.next(), 8).close_text();
    json.key("path").text(path);
    json.key("title").text(random.pick(words::TITLES));
    match random.pick(REFERRERS) {
        "" => json.key("referrer").raw("null"),
        referrer => json.key("referrer").text(referrer),
    }
    json.close_object();
}

fn write_context(json: &mut JsonWriter<'_>, random: &mut Random) {
    let (width, height) = SCREENS[random.below(SCREENS.len() as u32) as usize];
    json.key("context").open_object();
    json.key("locale").text(random.pick(words::LANGUAGES));
    json.key("timezone").text(random.pick(words::TIME_ZONES));
    json.key("screen").open_object();
    json.key("width").number(width);
    json.key("height").number(height);
    json.close_object();
    if random.chance(20) {
        json.key("campaign").open_object();
        json.key("source").text(random.pick(SOURCES));
        json.key("name").text(random.pick(CAMPAIGNS));
        json.close_object();
    }
    json.close_object();
}

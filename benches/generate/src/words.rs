//! Words for the values: invented combinations, none a real person or shop.
//!
//! Text is JSON-escaped already where it needs to be, and several scripts are in it, so that
//! readers meet escapes and multi-byte characters in ordinary data.

pub(crate) const FIRST_NAMES: &[&str] = &[
    "Amara", "Björn", "Chloé", "Dmitri", "Elif", "Farah", "Giulia", "Hiro", "Ingrid", "José",
    "Kwame", "Leila", "Minh", "Nadia", "Oskar", "Priya", "Quentin", "Rosa", "Søren", "Tomás",
    "Ursula", "Yuki", "Zoë", "Анна",
];

pub(crate) const LAST_NAMES: &[&str] = &[
    "Alvarez",
    "Becker",
    "Castellanos",
    "Dubois",
    "Eriksson",
    "Fischer",
    "García",
    "Haddad",
    "Ivanova",
    "Jansen",
    "Kowalski",
    "Lindqvist",
    "Müller",
    "Nakamura",
    "O'Reilly",
    "Petrov",
    "Quispe",
    "Rossi",
    "Şahin",
    "Tanaka",
];

pub(crate) const CITIES: &[&str] = &[
    "Lisboa",
    "Köln",
    "Montréal",
    "Kraków",
    "Nairobi",
    "Osaka",
    "São Paulo",
    "Tbilisi",
    "Utrecht",
    "Zürich",
];

pub(crate) const STREETS: &[&str] = &[
    "Mill Lane",
    "Hafenstraße",
    "Rua das Flores",
    "Station Road",
    "Via Roma",
    "Long Acre",
    "Rue du Port",
];

pub(crate) const COUNTRIES: &[&str] = &["PT", "DE", "CA", "PL", "KE", "JP", "BR", "GE", "NL", "CH"];

pub(crate) const LANGUAGES: &[&str] =
    &["pt-PT", "de-DE", "fr-CA", "pl-PL", "sw-KE", "ja-JP", "pt-BR", "en-GB"];

pub(crate) const CURRENCIES: &[&str] = &["EUR", "USD", "CAD", "PLN", "JPY", "BRL"];

pub(crate) const PRODUCTS: &[&str] = &[
    "Oak chair",
    "Steel kettle 1.7\\u00a0l",
    "Notebook \\\"Classic\\\" A5",
    "Wool blanket",
    "Desk lamp",
    "Tea tin ☕",
    "Bicycle bell",
    "Enamel mug",
    "Garden gloves",
    "Linen apron",
    "Field guide: birds",
    "Café table",
];

pub(crate) const TAGS: &[&str] =
    &["gift", "express", "b2b", "first-order", "fragile", "wholesale", "pickup", "loyalty", "sale"];

pub(crate) const NOTES: &[&str] = &[
    "Leave with the neighbour",
    "Ring twice,\\nthen wait",
    "Please call before delivery",
    "Zweiter Hof, links",
    "No substitutions \\u2014 thanks 🙏",
];

pub(crate) const PAGES: &[&str] = &[
    "/",
    "/search",
    "/category/lighting",
    "/category/kitchen",
    "/product/oak-chair",
    "/product/desk-lamp",
    "/cart",
    "/checkout/address",
    "/checkout/payment",
    "/account/orders",
    "/help/returns",
];

pub(crate) const TITLES: &[&str] = &[
    "Home",
    "Search results",
    "Lighting",
    "Kitchen",
    "Product details",
    "Your cart",
    "Checkout",
    "Help \\u0026 returns",
];

pub(crate) const USER_AGENTS: &[&str] = &[
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
    "ShopApp/4.12.0 (Android 14; de_DE)",
];

pub(crate) const TIME_ZONES: &[&str] = &[
    "Europe/Lisbon",
    "Europe/Berlin",
    "America/Toronto",
    "Africa/Nairobi",
    "Asia/Tokyo",
    "America/Sao_Paulo",
];

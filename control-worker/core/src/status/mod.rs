//! What a live input's object knows of what is going on: the state of the input and its outputs,
//! how it was before, and every change as an event that others are told of.
//!
//! All of it comes from the node that has the input on air, by way of that node's object, as
//! [`News`]. Where that node falls silent nobody knows any more, and that is what is said.

mod book;
mod duties;
mod facts;
mod happenings;
mod news;
mod view;
pub mod words;

pub use self::book::{Kept, MAX_EVENTS, SCHEMA, StatusBook};
pub use self::duties::{Batch, MIRROR_EVERY};
pub use self::facts::Mirror;
pub use self::news::{News, Numbered, Told};
pub use self::view::{View, unavailable};

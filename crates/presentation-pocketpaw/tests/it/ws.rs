//! The WebSocket over real TCP: what is refused, both protocols, resuming, limits.

mod access;
mod actions;
mod limits;
mod protocols;
mod resume;
mod site;

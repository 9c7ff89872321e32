//! The row about WebSocket connections that say nothing.

use std::thread;
use std::time::Duration;

use super::http::Connection;
use super::options::Group;
use super::server::Installation;
use super::table::{Bar, Row, Unit};
use crate::failure::{Failure, Outcome};
use crate::report;

/// Open connections.
const SOCKETS: u16 = 2_000;
/// How long the server is left alone before its memory is read.
const IDLE: Duration = Duration::from_secs(3);

/// Opens the connections, lets them rest and divides the server's growth by their number.
pub(crate) fn measure(installation: &Installation<'_>) -> Outcome<Vec<Row>> {
    report::note(format_args!("==> {SOCKETS} idle WebSockets"));
    let server = installation.start()?;
    thread::sleep(IDLE);
    let before = server.process.resident_kib()?;
    let mut sockets = Vec::new();
    for number in 1..=SOCKETS {
        let socket = Connection::open(server.address).and_then(|mut connection| {
            connection.open_websocket("/ws")?;
            Ok(connection)
        });
        sockets.push(
            socket.map_err(|error| {
                Failure::new(format!("WebSocket {number} of {SOCKETS}: {error}"))
            })?,
        );
    }
    thread::sleep(IDLE);
    let after = server.process.resident_kib()?;
    let open = server.process.open_files()?;
    if open < sockets.len() {
        return Err(Failure::new(format!(
            "of {SOCKETS} WebSockets the server has closed some: {open} files are open"
        )));
    }
    drop(sockets);
    server.process.stop()?;
    Ok(vec![Row {
        group: Group::Sockets,
        name: format!("{SOCKETS} idle WebSockets, memory of each"),
        bar: Bar::AtMost(12.0),
        unit: Unit::Kilobytes,
        value: (after - before) / f64::from(SOCKETS),
        detail: format!(
            "the server grows from {:.1} to {:.1} MB",
            before / 1024.0,
            after / 1024.0
        ),
    }])
}

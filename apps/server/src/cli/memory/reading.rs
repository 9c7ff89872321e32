//! Reads what is imported, piece by piece: never more than one conversation or one line is in memory.

use std::cell::Cell;
use std::fmt;
use std::io::{self, BufRead, BufReader, Read};
use std::rc::Rc;

use serde::Deserializer as _;
use serde::de::{SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::conversation::{self, Part, System};
use super::entry;
use super::markdown::{Section, Sections};
use super::progress::{Meter, Metered};
use super::source::{self, Form, Format, Source};

/// Largest conversation, in bytes of JSON.
const MAX_CONVERSATION: u64 = 64 * 1024 * 1024;
/// Longest line, in bytes: more than any memory takes.
const MAX_LINE: usize = 1024 * 1024;

/// What was read, in order.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Found {
    /// A memory.
    Memory(Line),
    /// A part of a conversation.
    Part(Part),
    /// A conversation in which nothing was said.
    Silence,
    /// Something that cannot be stored.
    Broken {
        /// Where it stands.
        place: String,
        /// Why not.
        why: String,
    },
}

/// A memory in a file.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line {
    /// The number of the line where it begins.
    pub(super) number: u64,
    /// As the server reads it.
    pub(super) body: Value,
    /// How much that is, as JSON.
    pub(super) bytes: usize,
}

/// Reads a source to its end, or until `sink` wants no more. Fails where nothing behind a place can be read.
pub(super) fn read(
    source: Source,
    format: Format,
    meter: &Meter,
    sink: &mut dyn FnMut(Found) -> bool,
) -> Result<(), String> {
    match source {
        Source::Text(mut text) => {
            let form = source::form(&mut text, format).map_err(|error| error.to_string())?;
            match form {
                Form::Lines => memories(&mut text, sink),
                Form::Markdown => sections(&mut text, sink),
                Form::Conversations => conversations(text, "", system(format), sink),
            }
        }
        Source::Archive(mut archive, names) => {
            if matches!(format, Format::Jsonl | Format::Markdown) {
                return Err("an archive holds conversations, no memories".to_owned());
            }
            for name in names {
                let file = archive.by_name(&name);
                let file = file.map_err(|error| format!("{name}: {error}"))?;
                let mut text = BufReader::new(Metered::new(file, meter.clone()));
                source::form(&mut text, format).map_err(|error| format!("{name}: {error}"))?;
                let place = format!("{name}: ");
                let mut open = true;
                let mut sink = |found| {
                    open = sink(found);
                    open
                };
                conversations(text, &place, system(format), &mut sink)?;
                if !open {
                    break;
                }
            }
            Ok(())
        }
    }
}

const fn system(format: Format) -> Option<System> {
    match format {
        Format::Chatgpt => Some(System::ChatGpt),
        Format::Claude => Some(System::Claude),
        Format::Auto | Format::Jsonl | Format::Markdown => None,
    }
}

fn memory(number: u64, read: Result<Value, String>) -> Found {
    match read {
        Ok(body) => Found::Memory(Line {
            number,
            bytes: body.to_string().len(),
            body,
        }),
        Err(why) => Found::Broken {
            place: place(number),
            why,
        },
    }
}

/// What a line is called.
pub(super) fn place(number: u64) -> String {
    format!("line {number}")
}

/// A memory on each line.
fn memories(text: &mut dyn BufRead, sink: &mut dyn FnMut(Found) -> bool) -> Result<(), String> {
    each_line(text, &mut |number, line| match line {
        Ok(line) if line.trim().is_empty() => true,
        Ok(line) => sink(memory(number, entry::read_line(line))),
        Err(why) => sink(memory(number, Err(why))),
    })
}

/// A memory under each heading.
fn sections(text: &mut dyn BufRead, sink: &mut dyn FnMut(Found) -> bool) -> Result<(), String> {
    let (mut sections, mut open) = (Sections::default(), true);
    let mut give = |section: Section| {
        open = sink(memory(section.0, section.1));
        open
    };
    each_line(text, &mut |number, line| match line {
        Ok(line) => sections.take(number, line).is_none_or(&mut give),
        Err(why) => give((number, Err(why))),
    })?;
    if open && let Some(last) = sections.end() {
        sink(memory(last.0, last.1));
    }
    Ok(())
}

/// Reads lines, from 1, until `visit` wants no more; one that is no text or too long is named and passed over.
fn each_line(
    text: &mut dyn BufRead,
    visit: &mut dyn FnMut(u64, Result<&str, String>) -> bool,
) -> Result<(), String> {
    let (mut number, mut line) = (0, Vec::new());
    loop {
        number += 1;
        line.clear();
        let whole =
            next_line(text, &mut line).map_err(|error| format!("line {number}: {error}"))?;
        let Some(whole) = whole else {
            return Ok(());
        };
        let content = if whole {
            std::str::from_utf8(&line).map_err(|_| "is no UTF-8 text".to_owned())
        } else {
            Err(format!("is longer than {MAX_LINE} bytes"))
        };
        if !visit(
            number,
            content.map(|line| line.trim_end_matches(['\r', '\n'])),
        ) {
            return Ok(());
        }
    }
}

/// Reads the next line; nothing at the end. `false` where it is too long: then only its beginning was kept.
fn next_line(text: &mut dyn BufRead, line: &mut Vec<u8>) -> io::Result<Option<bool>> {
    let (mut any, mut whole) = (false, true);
    loop {
        let buffer = match text.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            buffer => buffer?,
        };
        if buffer.is_empty() {
            return Ok(any.then_some(whole));
        }
        any = true;
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let used = end.map_or(buffer.len(), |end| end + 1);
        let room = MAX_LINE.saturating_sub(line.len());
        whole &= used <= room;
        line.extend(buffer.iter().take(used.min(room)));
        text.consume(used);
        if end.is_some() {
            return Ok(Some(whole));
        }
    }
}

/// A list of conversations.
fn conversations(
    text: impl Read,
    place: &str,
    system: Option<System>,
    sink: &mut dyn FnMut(Found) -> bool,
) -> Result<(), String> {
    let allowance = Rc::new(Cell::new(MAX_CONVERSATION));
    let text = BufReader::new(Allowed {
        inner: text,
        left: allowance.clone(),
    });
    let mut number = 0_u64;
    let mut stopped = false;
    let each = Each(|raw: &RawValue| {
        number += 1;
        allowance.set(MAX_CONVERSATION);
        stopped = !give(
            conversation::read(raw.get(), system),
            || format!("{place}conversation {number}"),
            sink,
        );
        !stopped
    });
    let mut reader = serde_json::Deserializer::from_reader(text);
    let read = reader.deserialize_seq(each).and_then(|()| reader.end());
    match read {
        Err(_) if stopped => Ok(()),
        Err(error) => Err(format!("{place}behind conversation {number}: {error}")),
        Ok(()) => Ok(()),
    }
}

/// Gives what was read of a conversation to `sink`, until that wants no more.
fn give(
    read: Result<conversation::Conversation, String>,
    place: impl Fn() -> String,
    sink: &mut dyn FnMut(Found) -> bool,
) -> bool {
    let parts = match read {
        Ok(conversation) => conversation.into_parts(),
        Err(why) => {
            return sink(Found::Broken {
                place: place(),
                why,
            });
        }
    };
    if parts.is_empty() {
        return sink(Found::Silence);
    }
    parts.into_iter().all(|part| sink(Found::Part(part)))
}

/// Visits the elements of a list one by one, until one is not wanted.
struct Each<F>(F);

impl<'de, F: FnMut(&RawValue) -> bool> Visitor<'de> for Each<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of conversations")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        while let Some(element) = list.next_element::<Box<RawValue>>()? {
            if !(self.0)(&element) {
                return Err(serde::de::Error::custom("no more is wanted"));
            }
        }
        Ok(())
    }
}

/// A reader that fails behind so many bytes.
struct Allowed<R> {
    inner: R,
    left: Rc<Cell<u64>>,
}

impl<R: Read> Read for Allowed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.left.get();
        if left == 0 {
            let words = format!("a conversation is larger than {MAX_CONVERSATION} bytes");
            return Err(io::Error::other(words));
        }
        let read = self.inner.read(buffer)?;
        let bytes = u64::try_from(read).unwrap_or(u64::MAX);
        self.left.set(left.saturating_sub(bytes));
        Ok(read)
    }
}

#[cfg(test)]
mod tests;

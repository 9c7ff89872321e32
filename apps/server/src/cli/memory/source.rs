//! The file that is imported, and what is in it.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek as _};
use std::path::Path;

use clap::ValueEnum;
use zip::ZipArchive;

use super::progress::{Meter, Metered};
use crate::cli::context::CliError;

/// What a ZIP archive begins with.
const ZIP: &[u8] = b"PK\x03\x04";
/// What a text file may begin with.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// Whatever its beginning says
    Auto,
    /// A memory on each line, in JSON, as `export` writes it
    Jsonl,
    /// Memories under headings: PocketPaw's MEMORY.md
    Markdown,
    /// ChatGPT's export: conversations.json, or the ZIP archive with it
    Chatgpt,
    /// Claude's export: conversations.json, or the ZIP archive with it
    Claude,
}

/// What a text is read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Lines,
    Markdown,
    Conversations,
}

/// A file that is open.
pub(super) enum Source {
    /// One text.
    Text(Box<dyn BufRead + Send>),
    /// The conversations in an archive: their names.
    Archive(Box<ZipArchive<BufReader<File>>>, Vec<String>),
}

/// Opens a file, and says how long its text is, in bytes.
pub(super) fn open(path: &Path, meter: &Meter) -> Result<(Source, u64), CliError> {
    let unreadable =
        |error: io::Error| CliError::Other(format!("{} cannot be read: {error}", path.display()));
    let mut file = File::open(path).map_err(unreadable)?;
    let mut beginning = Vec::new();
    let mut head = (&mut file).take(4);
    head.read_to_end(&mut beginning).map_err(unreadable)?;
    file.rewind().map_err(unreadable)?;
    if beginning == ZIP {
        return open_archive(file, path);
    }
    let length = file.metadata().map_err(unreadable)?.len();
    let text = BufReader::new(Metered::new(file, meter.clone()));
    Ok((Source::Text(Box::new(text)), length))
}

fn open_archive(file: File, path: &Path) -> Result<(Source, u64), CliError> {
    let broken = |error: zip::result::ZipError| {
        CliError::Other(format!("{} is no whole archive: {error}", path.display()))
    };
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(broken)?;
    let mut names: Vec<String> = archive
        .file_names()
        .filter_map(|name| Some(name.ok()?.into_owned()))
        .filter(|name| holds_conversations(name))
        .collect();
    names.sort();
    if names.is_empty() {
        let words = format!("{} holds no conversations.json", path.display());
        return Err(CliError::Other(words));
    }
    let mut length = 0_u64;
    for name in &names {
        length = length.saturating_add(archive.by_name(name).map_err(broken)?.size());
    }
    Ok((Source::Archive(Box::new(archive), names), length))
}

/// `conversations.json`, or one of several: `conversations-001.json`.
fn holds_conversations(name: &str) -> bool {
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let number = name
        .strip_prefix("conversations")
        .and_then(|rest| rest.strip_suffix(".json"));
    number.is_some_and(|number| {
        number.is_empty()
            || number
                .strip_prefix('-')
                .is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
    })
}

/// What a text of this format is read as; leaves out a mark at its beginning.
pub(super) fn form(text: &mut dyn BufRead, format: Format) -> io::Result<Form> {
    if text.fill_buf()?.starts_with(BYTE_ORDER_MARK) {
        text.consume(BYTE_ORDER_MARK.len());
    }
    Ok(match format {
        Format::Jsonl => Form::Lines,
        Format::Markdown => Form::Markdown,
        Format::Chatgpt | Format::Claude => Form::Conversations,
        Format::Auto => {
            let first = text.fill_buf()?.iter().copied();
            match first.into_iter().find(|byte| !byte.is_ascii_whitespace()) {
                Some(b'[') => Form::Conversations,
                Some(b'{') => Form::Lines,
                _ => Form::Markdown,
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_says_what_it_is() {
        for (text, expected) in [
            ("[\n{", Form::Conversations),
            (" \n\t[", Form::Conversations),
            ("{\"content\"", Form::Lines),
            ("\u{FEFF}{", Form::Lines),
            ("# Memory\n\n## x", Form::Markdown),
            ("", Form::Markdown),
        ] {
            let found = form(&mut text.as_bytes(), Format::Auto).unwrap();
            assert_eq!(found, expected, "{text:?}");
        }
        let asked = form(&mut &b"[]"[..], Format::Jsonl).unwrap();
        assert_eq!(asked, Form::Lines);
    }

    #[test]
    fn conversations_are_found_in_archives() {
        for (name, expected) in [
            ("conversations.json", true),
            ("export/conversations.json", true),
            ("conversations-000.json", true),
            ("shared_conversations.json", false),
            ("conversations-x.json", false),
            ("conversations.json.txt", false),
        ] {
            assert_eq!(holds_conversations(name), expected, "{name}");
        }
    }
}

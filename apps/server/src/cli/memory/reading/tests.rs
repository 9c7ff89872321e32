//! Files of every form, whole and broken.

use std::io::Write as _;

use serde_json::json;

use super::*;

fn all(bytes: &[u8], format: Format) -> (Vec<Found>, Result<(), String>) {
    let mut found = Vec::new();
    let source = Source::Text(Box::new(io::Cursor::new(bytes.to_vec())));
    let read = read(source, format, &Meter::default(), &mut |one| {
        found.push(one);
        true
    });
    (found, read)
}

/// What each thing found is, in short.
fn short(found: &[Found]) -> Vec<String> {
    let short = |one: &Found| match one {
        Found::Memory(line) => format!("memory {}", line.body["content"].as_str().unwrap()),
        Found::Part(part) => format!("part of {}", part.body["id"].as_str().unwrap()),
        Found::Silence => "silence".to_owned(),
        Found::Broken { place, .. } => format!("broken {place}"),
    };
    found.iter().map(short).collect()
}

fn claude(id: &str, text: &str) -> Value {
    json!({ "uuid": id, "name": "", "chat_messages": [{ "uuid": "m", "sender": "human", "text": text }] })
}

fn chatgpt(id: &str, text: &str) -> Value {
    json!({ "id": id, "current_node": "a", "mapping": { "a": { "message": {
        "id": "m", "author": { "role": "user" }, "content": { "content_type": "text", "parts": [text] }
    } } } })
}

#[test]
fn broken_lines_are_named_and_the_rest_is_read() {
    let mut text =
        b"\xEF\xBB\xBF{\"content\":\"one\"}\r\n\n{\"content\":\n{\"content\":\"two\"}\n".to_vec();
    text.extend(b"{\"content\":\"\xFF\"}\n");
    text.extend(format!("{{\"content\":\"{}\"}}\n", "x".repeat(MAX_LINE)).bytes());
    text.extend(b"{\"content\":\" \"}\n{\"content\":\"three\"}");
    let (found, read) = all(&text, Format::Auto);
    assert_eq!(read, Ok(()));
    assert_eq!(
        short(&found),
        [
            "memory one",
            "broken line 3",
            "memory two",
            "broken line 5",
            "broken line 6",
            "broken line 7",
            "memory three"
        ]
    );
}

#[test]
fn sections_of_markdown_are_read() {
    let text = b"# Memory\n\n## 2026-02-02T10:00:00Z\n\none\n\n## empty\n\n## About two\n\ntwo\n";
    let (found, read) = all(text, Format::Auto);
    assert_eq!(read, Ok(()));
    assert_eq!(short(&found), ["memory one", "broken line 7", "memory two"]);
}

#[test]
fn conversations_are_read_one_by_one_whoever_wrote_them() {
    let list = json!([
        claude("a", "x"), chatgpt("b", "y"), { "neither": 1 }, null, 7, claude("c", ""), chatgpt("", "z"), claude("d", "w")
    ]);
    let (found, read) = all(list.to_string().as_bytes(), Format::Auto);
    assert_eq!(read, Ok(()));
    assert_eq!(
        short(&found),
        [
            "part of claude-a",
            "part of chatgpt-b",
            "broken conversation 3",
            "broken conversation 4",
            "broken conversation 5",
            "silence",
            "broken conversation 7",
            "part of claude-d"
        ]
    );
    let (found, _) = all(list.to_string().as_bytes(), Format::Chatgpt);
    assert_eq!(
        short(&found)[..2],
        ["broken conversation 1", "part of chatgpt-b"]
    );
}

#[test]
fn a_file_that_breaks_off_gives_what_is_whole() {
    let list = json!([claude("a", "x"), claude("b", "y")]).to_string();
    let (found, read) = all(&list.as_bytes()[..list.len() - 20], Format::Auto);
    assert_eq!(short(&found), ["part of claude-a"]);
    assert!(read.unwrap_err().contains("behind conversation 1"));
    let (_, read) = all(b"[] and more", Format::Auto);
    assert!(read.is_err());
    let (found, read) = all(b"", Format::Auto);
    assert_eq!((found.len(), read), (0, Ok(())));
}

#[test]
fn a_conversation_nested_too_deep_is_passed_over() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let list = format!(r#"[{{"mapping":{deep}}},{}]"#, claude("a", "x"));
    let (found, read) = all(list.as_bytes(), Format::Auto);
    assert_eq!(read, Ok(()));
    assert_eq!(short(&found), ["broken conversation 1", "part of claude-a"]);
}

/// A text that never ends.
struct Endless;

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        buffer.fill(b'x');
        Ok(buffer.len())
    }
}

#[test]
fn a_conversation_without_end_is_refused() {
    let text = BufReader::new(io::Cursor::new(b"[{\"mapping\":\"").chain(Endless));
    let source = Source::Text(Box::new(text));
    let refused = read(source, Format::Auto, &Meter::default(), &mut |_| true);
    assert!(refused.unwrap_err().contains("larger than"));
}

#[test]
fn reading_stops_when_nobody_wants_more() {
    let list = json!([claude("a", "x"), claude("b", "y")]).to_string();
    for text in [
        list.as_str(),
        "{\"content\":\"x\"}\n{\"content\":\"y\"}",
        "## a\n\nx\n\n## b\n\ny\n\n## c\n\nz\n",
    ] {
        let source = Source::Text(Box::new(io::Cursor::new(text.to_owned())));
        let mut count = 0;
        let mut sink = |_| {
            count += 1;
            false
        };
        assert_eq!(
            read(source, Format::Auto, &Meter::default(), &mut sink),
            Ok(())
        );
        assert_eq!(count, 1, "{text}");
    }
}

#[test]
fn an_archive_is_read_as_the_file_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("export.zip");
    let mut archive = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
    let options = zip::write::SimpleFileOptions::default();
    let first = json!([claude("a", "x")]).to_string();
    let second = json!([chatgpt("b", "y"), 1]).to_string();
    for (name, text) in [
        ("users.json", "[{}]"),
        ("conversations-001.json", second.as_str()),
        ("conversations-000.json", first.as_str()),
    ] {
        archive.start_file(name, options).unwrap();
        archive.write_all(text.as_bytes()).unwrap();
    }
    archive.finish().unwrap();
    let meter = Meter::default();
    let (source, length) = source::open(&path, &meter).unwrap();
    let mut found = Vec::new();
    let read = read(source, Format::Auto, &meter, &mut |one| {
        found.push(one);
        true
    });
    assert_eq!(read, Ok(()));
    assert_eq!(
        short(&found),
        [
            "part of claude-a",
            "part of chatgpt-b",
            "broken conversations-001.json: conversation 2"
        ]
    );
    assert_eq!(meter.bytes(), length);

    std::fs::write(&path, b"PK\x03\x04 and nothing else").unwrap();
    assert!(source::open(&path, &meter).is_err());
}

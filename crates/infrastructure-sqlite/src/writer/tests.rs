//! Groups of writes on a database that fails.

use diesel::connection::SimpleConnection;
use diesel::sql_types::{BigInt, Text};
use diesel::{Connection, QueryableByName, SqliteConnection};

use super::*;
use crate::repositories::Outcome;

type Reply = oneshot::Receiver<Result<usize, RepositoryError>>;

async fn insert(conn: &mut Conn, note: &str) -> Outcome<usize> {
    assert_ne!(note, "panic", "asked to");
    let query = diesel::sql_query("INSERT INTO notes (note) VALUES (?)").bind::<Text, _>(note);
    Ok(diesel_async::RunQueryDsl::execute(query, conn).await?)
}

fn write_of(note: &str, durability: Durability) -> (Box<dyn Write>, Reply) {
    let (reply, answer) = oneshot::channel();
    let work: Work<String, usize> = |conn, note| Box::pin(insert(conn, note));
    (job(durability, note.to_owned(), work, reply), answer)
}

/// Writes one group and returns the answers.
fn write_group(writer: &mut Writer, notes: &[&str]) -> Vec<Result<usize, RepositoryError>> {
    let (jobs, replies): (Vec<_>, Vec<_>) = notes
        .iter()
        .map(|note| write_of(note, Durability::Flushed))
        .unzip();
    writer.write(jobs);
    replies
        .into_iter()
        .map(|mut reply| reply.try_recv().unwrap())
        .collect()
}

struct Fixture {
    writer: Writer,
    reader: SqliteConnection,
    _folder: tempfile::TempDir,
}

fn fixture(settings: &str) -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.sqlite3");
    let mut connection = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
    connection
        .batch_execute("PRAGMA journal_mode = WAL")
        .unwrap();
    connection
        .batch_execute("CREATE TABLE notes (note TEXT NOT NULL UNIQUE)")
        .unwrap();
    connection.batch_execute(settings).unwrap();
    Fixture {
        writer: Writer::new(connection, Arc::default()),
        reader: SqliteConnection::establish(path.to_str().unwrap()).unwrap(),
        _folder: folder,
    }
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

impl Fixture {
    fn stored(&mut self) -> i64 {
        let query = diesel::sql_query("SELECT count(*) AS count FROM notes");
        let row: Count = diesel::RunQueryDsl::get_result(query, &mut self.reader).unwrap();
        row.count
    }
}

#[test]
fn a_conflict_is_answered_alone() {
    let mut test = fixture("");
    let answers = write_group(&mut test.writer, &["a", "b", "a", "c"]);
    assert!(matches!(
        answers.as_slice(),
        [Ok(1), Ok(1), Err(RepositoryError::Conflict), Ok(1)]
    ));
    let single = write_group(&mut test.writer, &["a"]);
    assert!(matches!(
        single.as_slice(),
        [Err(RepositoryError::Conflict)]
    ));
    assert_eq!(test.stored(), 3);
}

#[test]
fn a_panic_is_answered_alone_and_the_thread_goes_on() {
    let mut test = fixture("");
    let answers = write_group(&mut test.writer, &["a", "panic", "b"]);
    assert!(matches!(
        answers.as_slice(),
        [Ok(1), Err(RepositoryError::Other(_)), Ok(1)]
    ));
    assert!(
        write_group(&mut test.writer, &["c"])
            .iter()
            .all(Result::is_ok)
    );
    assert_eq!(test.stored(), 3);
}

#[test]
fn a_full_disk_is_unavailable_until_there_is_room() {
    let mut test = fixture("PRAGMA max_page_count = 20");
    let big: Vec<String> = (0..8)
        .map(|n| format!("{n}{}", "x".repeat(15_000)))
        .collect();
    let big: Vec<&str> = big.iter().map(String::as_str).collect();
    let answers = write_group(&mut test.writer, &big);
    let stored = answers.iter().filter(|answer| answer.is_ok()).count();
    assert!(stored < big.len(), "the disk was not full");
    for answer in &answers {
        assert!(matches!(
            answer,
            Ok(1) | Err(RepositoryError::Unavailable(_))
        ));
    }
    assert_eq!(
        usize::try_from(test.stored()).unwrap(),
        stored,
        "an answer lied"
    );

    test.writer
        .execute("PRAGMA max_page_count = 100000")
        .unwrap();
    let after = write_group(&mut test.writer, &["a", "b"]);
    assert!(after.iter().all(Result::is_ok), "{after:?}");
    assert_eq!(usize::try_from(test.stored()).unwrap(), stored + 2);
}

#[test]
fn a_failed_commit_stores_nothing_of_its_group() {
    // Deferred constraints are checked by COMMIT, which then fails.
    let mut test = fixture(
        "PRAGMA foreign_keys = ON; CREATE TABLE strict_notes (note TEXT REFERENCES notes (note) \
         DEFERRABLE INITIALLY DEFERRED); CREATE TRIGGER forward AFTER INSERT ON notes WHEN \
         new.note LIKE 'bad%' BEGIN INSERT INTO strict_notes VALUES ('missing'); END;",
    );
    let answers = write_group(&mut test.writer, &["a", "bad"]);
    assert!(
        answers
            .iter()
            .all(|answer| matches!(answer, Err(RepositoryError::Unavailable(_))))
    );
    assert_eq!(test.stored(), 0);
    assert!(
        write_group(&mut test.writer, &["a"])
            .iter()
            .all(Result::is_ok)
    );
    assert_eq!(test.stored(), 1);
}

#[test]
fn the_strictest_durability_of_a_group_counts() {
    let mut test = fixture("");
    for (wanted, synchronous) in [
        (&[Durability::Written][..], Durability::Written),
        (
            &[Durability::Written, Durability::Flushed],
            Durability::Flushed,
        ),
        (&[Durability::Flushed], Durability::Flushed),
        (
            &[Durability::Written, Durability::Written],
            Durability::Written,
        ),
    ] {
        let jobs = wanted
            .iter()
            .enumerate()
            .map(|(n, durability)| write_of(&format!("{wanted:?}{n}"), *durability).0)
            .collect();
        test.writer.write(jobs);
        assert_eq!(test.writer.durability, synchronous);
    }
    assert_eq!(test.stored(), 6);
}

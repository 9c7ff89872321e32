//! `majordomo audit`: reads and checks the audit log itself, without asking the server, which may run meanwhile.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};
use majordomo_application::Caller;
use majordomo_application::audit::chain::{Anchor, ChainCheck, ChainReport, ORIGIN};
use majordomo_application::audit::{AuditQuery, AuditService, archive};
use majordomo_application::hex::{from_hex, hex};
use majordomo_domain::{AuditChain, AuditEntry, CredentialKind, Timestamp};
use majordomo_infrastructure_system::is_audit_archive;
use serde_json::{Value, json};

use super::context::{CliError, Context};
use super::output::{Output, printable};
use crate::startup::with_causes;
use crate::wiring;

/// What to do with the audit log.
#[derive(Subcommand)]
pub(super) enum AuditCommand {
    /// Find every entry that was changed, removed, moved or added
    Verify(VerifyArgs),
    /// Show the newest entries
    List {
        /// How many at most, up to 1000
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
        /// Only this act, as `api_key.create`
        #[arg(long)]
        action: Option<String>,
    },
    /// Write every entry as a line of JSON
    Export {
        /// Write to this file, which must not exist, instead of standard output
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

/// What the log is compared with.
#[derive(Args)]
pub(super) struct VerifyArgs {
    /// An end of the log that an earlier `verify` printed, as PLACE:HASH
    #[arg(long, value_name = "PLACE:HASH", value_parser = parse_anchor)]
    anchor: Vec<Anchor>,
    /// Folder of the archives [default: the data folder]
    #[arg(long, value_name = "FOLDER")]
    archives: Option<PathBuf>,
}

fn parse_anchor(text: &str) -> Result<Anchor, String> {
    let read = || {
        let (seq, hash) = text.split_once(':')?;
        Some(Anchor {
            seq: seq.parse().ok()?,
            hash: from_hex(hash)?.try_into().ok()?,
            at: Timestamp::EPOCH,
        })
    };
    read().ok_or_else(|| "expected a number, a colon and 64 hexadecimal digits".to_owned())
}

pub(super) async fn run(
    context: Context,
    command: AuditCommand,
    output: &Output,
) -> Result<(), CliError> {
    let log = wiring::audit_log(&context.settings, &context.data_dir)
        .await
        .map_err(|error| CliError::Other(with_causes(&error)))?;
    let audit = wiring::audit(log, &context.data_dir);
    match command {
        AuditCommand::Verify(args) => verify(&context, &audit, &args, output).await,
        AuditCommand::List { limit, action } => list(&audit, limit, action, output).await,
        AuditCommand::Export { output: file } => export(&audit, file.as_deref(), output).await,
    }
}

/// Who works on the data folder itself.
fn operator() -> Caller {
    Caller::operator(CredentialKind::CommandLine)
}

fn failed(error: impl std::error::Error) -> CliError {
    CliError::Other(with_causes(&error))
}

async fn verify(
    context: &Context,
    audit: &AuditService,
    args: &VerifyArgs,
    output: &Output,
) -> Result<(), CliError> {
    let chain = audit.chain().await.map_err(failed)?;
    let report = audit
        .verify(&operator(), &args.anchor)
        .await
        .map_err(failed)?;
    let folder = args.archives.as_deref().unwrap_or(&context.data_dir);
    let archived = verify_archives(folder, &chain)?;
    let data = report_json(&report, archived.as_ref(), chain.base_seq);
    output.data(&data, |_| {
        report_text(&report, archived.as_ref(), chain.base_seq)
    })?;
    let intact = report.is_intact() && archived.is_none_or(|archived| archived.is_intact());
    if intact {
        Ok(())
    } else {
        Err(CliError::Other(
            "the audit log was tampered with".to_owned(),
        ))
    }
}

/// Checks the archives of a folder as the beginning of the chain; `None` when there is none.
fn verify_archives(folder: &Path, chain: &AuditChain) -> Result<Option<ChainReport>, CliError> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .map_err(failed)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let name = path.file_name().and_then(|name| name.to_str());
            name.is_some_and(is_audit_archive)
        })
        .collect();
    if files.is_empty() {
        return Ok(None);
    }
    // Their names begin with their time.
    files.sort();
    let mut check = ChainCheck::after(0, ORIGIN);
    let mut after = 0;
    for file in files {
        let reader = BufReader::new(fs::File::open(&file).map_err(failed)?);
        for (number, line) in reader.lines().enumerate() {
            let line = line.map_err(failed)?;
            let entry = archive::read_line(&line).ok_or_else(|| {
                let place = file.display();
                CliError::Other(format!("{place}: line {} is no entry", number + 1))
            })?;
            // Archiving that was interrupted leaves the same entries in two files, or in a file and the database.
            if entry.seq > after && entry.seq <= chain.base_seq {
                after = entry.seq;
                check.follow(&entry);
            }
        }
    }
    Ok(Some(check.finish(Some(&AuditChain {
        base_seq: 0,
        base_hash: ORIGIN,
        last_seq: chain.base_seq,
        last_hash: chain.base_hash,
    }))))
}

fn faults(report: &ChainReport) -> Vec<String> {
    report.faults.iter().map(ToString::to_string).collect()
}

fn report_json(report: &ChainReport, archived: Option<&ChainReport>, base: u64) -> Value {
    json!({
        "intact": report.is_intact() && archived.is_none_or(ChainReport::is_intact),
        "checked": report.checked,
        "anchor": format!("{}:{}", report.last_seq, hex(&report.last_hash)),
        "faults": faults(report),
        "archived": base,
        "archives_checked": archived.map(|archived| archived.checked),
        "archive_faults": archived.map(faults),
    })
}

fn report_text(report: &ChainReport, archived: Option<&ChainReport>, base: u64) -> String {
    let mut text = String::new();
    for fault in faults(report) {
        let _ = writeln!(text, "TAMPERED  {fault}");
    }
    for fault in archived.map(faults).unwrap_or_default() {
        let _ = writeln!(text, "TAMPERED  archives: {fault}");
    }
    match archived {
        Some(archived) => {
            let _ = writeln!(text, "checked   {} archived entries", archived.checked);
        }
        None if base > 0 => {
            let _ = writeln!(
                text,
                "skipped   entries 1 to {base} are archived, and no archive is here (--archives)"
            );
        }
        None => {}
    }
    let _ = writeln!(text, "checked   {} entries", report.checked);
    let _ = writeln!(
        text,
        "anchor    {}:{}\n          Keep it elsewhere: `audit verify --anchor` then finds a log that was made anew.",
        report.last_seq,
        hex(&report.last_hash)
    );
    text
}

async fn list(
    audit: &AuditService,
    limit: u32,
    action: Option<String>,
    output: &Output,
) -> Result<(), CliError> {
    let query = AuditQuery {
        limit,
        action,
        ..AuditQuery::default()
    };
    let entries = audit.list(&operator(), query).await.map_err(failed)?;
    let data = Value::Array(entries.iter().map(archive::to_json).collect());
    output.data(&data, |_| entries.iter().rev().map(entry_text).collect())
}

fn entry_text(entry: &AuditEntry) -> String {
    let times = if entry.count == 1 {
        String::new()
    } else {
        format!("  x{}", entry.count)
    };
    let line = format!(
        "{:>6}  {}  {:8} {:22} {:24} {:16} {}{times}",
        entry.seq,
        entry.at,
        entry.outcome,
        entry.action,
        entry.target,
        entry.actor.as_deref().unwrap_or(&entry.credential),
        entry.address.as_deref().unwrap_or("-"),
    );
    format!("{}\n", printable(&line))
}

async fn export(
    audit: &Arc<AuditService>,
    file: Option<&Path>,
    output: &Output,
) -> Result<(), CliError> {
    let mut file = match file {
        None => None,
        Some(path) => {
            let made = fs::File::create_new(path).map_err(CliError::Output)?;
            Some(BufWriter::new(made))
        }
    };
    let mut after = 0;
    loop {
        let page = audit.page(&operator(), after).await.map_err(failed)?;
        let Some(last) = page.last() else { break };
        after = last.seq;
        for entry in &page {
            let line = format!("{}\n", archive::line(entry));
            match &mut file {
                None => output.text(&line)?,
                Some(file) => file.write_all(line.as_bytes()).map_err(CliError::Output)?,
            }
        }
    }
    match &mut file {
        None => Ok(()),
        Some(file) => file.flush().map_err(CliError::Output),
    }
}

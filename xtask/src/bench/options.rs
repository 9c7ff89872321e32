//! The command line of `bench`.

use std::path::PathBuf;

use crate::failure::{Failure, Outcome};
use crate::tree;

/// What the command understands.
pub(crate) const HELP: &str = "\
cargo xtask bench [--quick] [--json] [--only GROUP]... [--tools FOLDER] [--server FILE] [--messages N]

  --quick          short runs, and a search in 20,000 messages: shows that everything works, its numbers are rough
  --json           print the result as JSON instead of a table
  --only GROUP     measure this group only: pass-through, chat, latency, keys, start, sockets, search,
                   recall
  --tools FOLDER   where loadgen and mockllm are [default: $MAJORDOMO_BENCH_TOOLS, else ../shared/tools]
  --server FILE    measure this binary instead of a release build of the checkout
  --messages N     how many messages are searched [default: 1000000]";

/// Where the tools are, unless `--tools` or this variable says otherwise; from the root.
const DEFAULT_TOOLS: &str = "../shared/tools";
const TOOLS_VARIABLE: &str = "MAJORDOMO_BENCH_TOOLS";
/// Messages that are searched.
const MESSAGES: u32 = 1_000_000;
/// The same with `--quick`.
const QUICK_MESSAGES: u32 = 20_000;

/// Rows that are measured together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Group {
    PassThrough,
    Chat,
    Latency,
    Keys,
    Start,
    Sockets,
    Search,
    Recall,
}

impl Group {
    const ALL: [Self; 8] = [
        Self::PassThrough,
        Self::Chat,
        Self::Latency,
        Self::Keys,
        Self::Start,
        Self::Sockets,
        Self::Search,
        Self::Recall,
    ];

    /// The name in the command line and in the result.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::PassThrough => "pass-through",
            Self::Chat => "chat",
            Self::Latency => "latency",
            Self::Keys => "keys",
            Self::Start => "start",
            Self::Sockets => "sockets",
            Self::Search => "search",
            Self::Recall => "recall",
        }
    }

    fn parse(name: &str) -> Outcome<Self> {
        Self::ALL
            .into_iter()
            .find(|group| group.name() == name)
            .ok_or_else(|| Failure::new(format!("`{name}` is no group of bench\n\n{HELP}")))
    }
}

/// What a run is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) quick: bool,
    pub(crate) json: bool,
    /// Empty: everything.
    pub(crate) only: Vec<Group>,
    pub(crate) tools: PathBuf,
    /// `None`: the checkout is built.
    pub(crate) server: Option<PathBuf>,
    /// How many messages are searched.
    pub(crate) messages: u32,
}

impl Options {
    pub(crate) fn parse(arguments: &[&str]) -> Outcome<Self> {
        let mut options = Self {
            quick: false,
            json: false,
            only: Vec::new(),
            tools: std::env::var_os(TOOLS_VARIABLE)
                .map_or_else(|| tree::root().join(DEFAULT_TOOLS), PathBuf::from),
            server: None,
            messages: 0,
        };
        let mut messages = None;
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let mut value = || {
                arguments
                    .next()
                    .copied()
                    .ok_or_else(|| Failure::new(format!("{argument} needs a value\n\n{HELP}")))
            };
            match *argument {
                "--quick" => options.quick = true,
                "--json" => options.json = true,
                "--only" => options.only.push(Group::parse(value()?)?),
                "--tools" => options.tools = PathBuf::from(value()?),
                "--server" => options.server = Some(PathBuf::from(value()?)),
                "--messages" => {
                    let number = value()?.parse().map_err(|_| {
                        Failure::new(format!("--messages needs a whole number\n\n{HELP}"))
                    })?;
                    messages = Some(number);
                }
                _ => {
                    let problem = format!("`{argument}` is no option of bench\n\n{HELP}");
                    return Err(Failure::new(problem));
                }
            }
        }
        let default = if options.quick {
            QUICK_MESSAGES
        } else {
            MESSAGES
        };
        options.messages = messages.unwrap_or(default);
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::{Group, Options};

    #[test]
    fn flags_are_read_in_any_order() {
        let arguments = [
            "--only", "search", "--quick", "--tools", "/tools", "--only", "keys", "--server",
            "/bin/m",
        ];
        let options = Options::parse(&arguments).expect("valid");
        assert_eq!(options.only, [Group::Search, Group::Keys]);
        assert!(options.quick && !options.json);
        assert_eq!(options.tools.to_str(), Some("/tools"));
        assert_eq!(options.server, Some("/bin/m".into()));
        assert_eq!(options.messages, 20_000);
        let options = Options::parse(&["--messages", "7"]).expect("valid");
        assert_eq!(options.messages, 7);
        assert_eq!(Options::parse(&[]).expect("valid").messages, 1_000_000);
    }

    #[test]
    fn what_is_not_understood_is_named() {
        let problem = |arguments: &[&str]| {
            let failure = Options::parse(arguments).expect_err("refused");
            failure.to_string().lines().next().map(str::to_owned)
        };
        let said = |text: &str| Some(text.to_owned());
        assert_eq!(problem(&["--fast"]), said("`--fast` is no option of bench"));
        assert_eq!(problem(&["--only", "x"]), said("`x` is no group of bench"));
        assert_eq!(problem(&["--only"]), said("--only needs a value"));
        assert_eq!(
            problem(&["--messages", "many"]),
            said("--messages needs a whole number")
        );
    }
}

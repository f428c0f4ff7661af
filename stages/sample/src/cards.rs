//! Task cards: pages, short texts or data.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clrs::{Algorithm, Card};
use stage::{Config, Usage};

use crate::args::Args;
use crate::plan;

/// Checks that options of cards come with a card. (Clap's `requires` is silent where `--algorithm`, which excludes `--card`, is
/// given.)
pub fn check(args: &Args) -> Result<(), Usage> {
    let given = [("--brief", args.brief), ("--config", args.config.is_some()), ("--set", !args.sets.is_empty())];
    match given.into_iter().find(|(_, given)| *given && args.card.is_empty()) {
        Some((flag, _)) => Err(Usage(format!("{flag} belongs to --card"))),
        None => Ok(()),
    }
}

/// Writes the cards of the tasks named.
pub fn write(args: &Args) -> Result<()> {
    let (tasks, several) = plan::choose(&args.card)?;
    let config = Config::load(args.config.as_deref(), &args.sets, &[])?;
    let form = Form::of(args);
    let text = |algorithm: &&'static Algorithm| -> Result<String> {
        let settings = stage::card::settings(&config, algorithm, None);
        form.text(&Card::new(algorithm).with_settings(settings))
    };
    if args.output == Path::new("-") {
        let cards = tasks.iter().map(text).collect::<Result<Vec<_>>>()?;
        let between = if form == Form::Json { "" } else { "\n" };
        return stage::exit::print(&cards.join(between));
    }
    if !several && !is_folder(&args.output) {
        return tasks.iter().try_for_each(|task| write_file(&args.output, &text(task)?));
    }
    if args.output.is_file() {
        let message = format!("{}: several cards need a folder, and this is a file", args.output.display());
        return Err(Usage(message).into());
    }
    stage::atomic::make_folder(&args.output)?;
    tasks.iter().try_for_each(|task| {
        let path: PathBuf = args.output.join(format!("{}.{}", task.name, form.extension()));
        write_file(&path, &text(task)?)
    })
}

fn is_folder(path: &Path) -> bool {
    path.is_dir() || path.as_os_str().to_string_lossy().ends_with('/')
}

fn write_file(path: &Path, text: &str) -> Result<()> {
    stage::atomic::write_bytes(path, text.as_bytes())
}

/// How a card is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Page,
    Brief,
    Json,
}

impl Form {
    fn of(args: &Args) -> Self {
        match (args.json, args.brief) {
            (true, _) => Self::Json,
            (false, true) => Self::Brief,
            (false, false) => Self::Page,
        }
    }

    const fn extension(self) -> &'static str {
        match self {
            Self::Page => "md",
            Self::Brief => "txt",
            Self::Json => "json",
        }
    }

    fn text(self, card: &Card) -> Result<String> {
        Ok(match self {
            Self::Page => card.markdown(),
            Self::Brief => card.brief(),
            Self::Json => serde_json::to_string(card)? + "\n",
        })
    }
}

//! The page: what it says about the runs, as data for the template, and the template itself.

mod cards;
mod caveats;
mod compared;
mod diagnosis;
mod effects;
mod head;
mod models;
mod tables;
mod transfer;
mod view;

pub use models::names as model_names;
pub use view::{Options, Report, View};

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value, context};

use sha2::Digest as _;

use crate::draw::theme::{Medium, figure_css, properties};
use crate::draw::visible;

const TEMPLATE: &str = include_str!("../../templates/report.html");
const STYLE: &str = include_str!("../../templates/page.css");

/// The page's script, in parts that each have one job. The last one starts it.
const SCRIPT: &[&str] = &[
    include_str!("../../scripts/make.js"),
    include_str!("../../scripts/data.js"),
    include_str!("../../scripts/tables.js"),
    include_str!("../../scripts/candidates.js"),
    include_str!("../../scripts/diff.js"),
    include_str!("../../scripts/plots.js"),
    include_str!("../../scripts/open.js"),
    include_str!("../../scripts/compare.js"),
    include_str!("../../scripts/hover.js"),
    include_str!("../../scripts/live.js"),
    include_str!("../../scripts/start.js"),
];

/// The script, and its digest as a Content-Security-Policy names it: no other script runs on the page.
fn script() -> (String, String) {
    let script = format!("\n\"use strict\";\n(() => {{\n{}}})();\n", SCRIPT.concat());
    let digest = BASE64_STANDARD.encode(sha2::Sha256::digest(&script));
    (script, format!("sha256-{digest}"))
}

/// Renders the page. Everything that comes from tables is escaped by the template engine; the only texts that it takes as
/// they are come from the figures (which escape for themselves) and the style sheets.
pub fn render(view: &View) -> Result<String> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    environment.add_template("report.html", TEMPLATE).context("the template of the page")?;
    let style = format!("{}{}{}", properties(), STYLE, figure_css(Medium::Page));
    let template = environment.get_template("report.html").context("the template of the page")?;
    let (script, digest) = script();
    let html = template
        .render(context! { view => Value::from(Serde(view)), style, script, digest, version => stage::VERSION })
        .context("the template of the page")?;
    // escaping leaves control characters, and those that turn the direction of text: in source they can hide code
    Ok(html.chars().map(visible).collect())
}

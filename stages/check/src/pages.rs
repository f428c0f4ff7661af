//! The pages of the rules, by their codes.

use anyhow::Result;
use program::Rule;
use stage::Usage;

/// The page of a rule; the list of all of them where no code is given. Capitals do not matter.
///
/// # Errors
/// When there is no such rule; the most similar one is named.
pub fn rule(code: &str) -> Result<String> {
    let code = code.trim().to_uppercase();
    if code.is_empty() {
        let width = Rule::ALL.iter().map(|rule| rule.code().len()).max().unwrap_or(0);
        let line = |rule: &Rule| format!("{:width$}  {}\n", rule.code(), rule.summary());
        return Ok(Rule::ALL.iter().map(line).collect());
    }
    if let Some(rule) = Rule::of(&code) {
        return Ok(rule.page().to_owned());
    }
    let nearest = Rule::ALL.iter().map(|rule| (strsim::levenshtein(&code, rule.code()), rule.code())).min();
    let nearest = nearest.map_or_else(String::new, |(_, known)| format!("did you mean {known}? "));
    Err(Usage(format!("there is no rule {code}: {nearest}`check --rule` lists all")).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_found_by_their_codes() {
        assert!(rule("e-shape-view").unwrap().starts_with("# E-SHAPE-VIEW\n"));
        let list = rule("").unwrap();
        assert_eq!(list.lines().count(), Rule::ALL.len());
        assert!(list.lines().all(|line| line.len() > 20 && line.ends_with('.')), "{list}");
        let error = rule("E-SHAPE-VEIW").unwrap_err();
        assert!(error.is::<Usage>() && error.to_string().contains("E-SHAPE-VIEW?"), "{error}");
    }
}

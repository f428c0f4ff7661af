//! The name that a mistyped one stands for.

/// The name that takes the fewest edits to get to; none where it shares less than half of its letters with `word`, which is no
/// help.
pub fn nearest<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let nearest = names.into_iter().map(|name| (strsim::levenshtein(word, name), name)).min();
    nearest.filter(|(distance, name)| distance * 2 <= name.len()).map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_near_is_found() {
        let names = || ["select", "score", "report"];
        assert_eq!(nearest("selekt", names()), Some("select"));
        assert_eq!(nearest("scroe", names()), Some("score"));
        assert_eq!(nearest("zzzzz", names()), None);
        assert_eq!(nearest("a", []), None);
    }
}
